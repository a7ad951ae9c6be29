//! The process, its ports and its workers.

use axum::extract::State;

use super::api::{Answer, Api};
use super::model::{PortStatus, Status, WorkerStatus};

/// The process as a whole
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(api): State<Api>) -> Answer<Status> {
    api.json(|plane| plane.status()).await
}

/// The ports, in the order of the settings
#[utoipa::path(get, path = "/api/v1/ports", tag = "status", responses((status = 200, body = Vec<PortStatus>)))]
pub(super) async fn ports(State(api): State<Api>) -> Answer<Vec<PortStatus>> {
    api.json(|plane| plane.ports()).await
}

/// The workers, by number
#[utoipa::path(get, path = "/api/v1/workers", tag = "status", responses((status = 200, body = Vec<WorkerStatus>)))]
pub(super) async fn workers(State(api): State<Api>) -> Answer<Vec<WorkerStatus>> {
    api.json(|plane| plane.workers()).await
}
