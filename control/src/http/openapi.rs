//! The description of all routes, for programs that make clients from it.

use axum::Json;
use utoipa::OpenApi;

use super::routes::Document;

/// This description (OpenAPI 3.1)
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "description", responses(
    (status = 200, description = "An OpenAPI document", body = serde_json::Value),
))]
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
