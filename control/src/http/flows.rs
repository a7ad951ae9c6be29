//! Live flows, and the wish to have their records now.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;

use super::api::{Answer, Api};
use super::error::{ApiError, ErrorBody};
use super::model::{FlowList, Flushed};
use super::query::{FlowParameters, FlowQuery};

/// Live flows, read without disturbing the workers
#[utoipa::path(get, path = "/api/v1/flows", tag = "flows", params(FlowParameters), responses(
    (status = 200, body = FlowList),
    (status = 400, description = "A parameter is wrong; `field` names it", body = ErrorBody),
    (status = 503, description = "The tables cannot be read now", body = ErrorBody),
))]
pub(super) async fn flows(
    State(api): State<Api>,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Answer<FlowList> {
    let Query(parameters) =
        parameters.map_err(|rejection| ApiError::new(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    let query = FlowQuery::read(parameters)?;
    Ok(Json(api.ask(move |plane| plane.flows(&query)).await??))
}

/// Cut records of all live flows now
#[utoipa::path(post, path = "/api/v1/flush", tag = "flows", responses(
    (status = 200, body = Flushed),
    (status = 503, description = "No sweep can be made now", body = ErrorBody),
))]
pub(super) async fn flush(State(api): State<Api>) -> Answer<Flushed> {
    Ok(Json(api.ask(|plane| plane.flush()).await??))
}
