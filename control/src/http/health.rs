//! `/healthz` and `/readyz`, for whoever restarts the process or sends it traffic.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::api::Api;
use super::error::ApiError;
use super::model::Health;

/// Whether the threads of the program are alive
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "All are alive", body = Health),
    (status = 503, description = "One is not: the process should be started anew", body = Health),
))]
pub(super) async fn healthz(State(api): State<Api>) -> Result<(StatusCode, Json<Health>), ApiError> {
    api.ask(|plane| plane.liveness()).await.map(answer)
}

/// Whether packets are being processed
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "They are", body = Health),
    (status = 503, description = "Not yet, or not any more", body = Health),
))]
pub(super) async fn readyz(State(api): State<Api>) -> Result<(StatusCode, Json<Health>), ApiError> {
    api.ask(|plane| plane.readiness()).await.map(answer)
}

fn answer(health: Health) -> (StatusCode, Json<Health>) {
    (if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}
