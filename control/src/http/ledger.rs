//! Where every packet and record went, and how long it took.

use axum::extract::State;

use super::api::{Answer, Api};
use super::model::{Latency, Ledger};

/// Where every packet and every record went
#[utoipa::path(get, path = "/api/v1/ledger", tag = "ledger", responses((status = 200, body = Ledger)))]
pub(super) async fn ledger(State(api): State<Api>) -> Answer<Ledger> {
    api.json(|plane| plane.ledger()).await
}

/// Percentiles of burst service time, sweep and export
#[utoipa::path(get, path = "/api/v1/latency", tag = "ledger", responses((status = 200, body = Latency)))]
pub(super) async fn latency(State(api): State<Api>) -> Answer<Latency> {
    api.json(|plane| plane.latency()).await
}
