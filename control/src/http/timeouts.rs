//! The timeouts, which can be changed while packets come in.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::api::{Answer, Api};
use super::error::{ApiError, ErrorBody};
use super::model::{Timeouts, TimeoutsPatch};

/// The timeouts in force
#[utoipa::path(get, path = "/api/v1/timeouts", tag = "timeouts", responses((status = 200, body = Timeouts)))]
pub(super) async fn timeouts(State(api): State<Api>) -> Answer<Timeouts> {
    api.json(|plane| plane.timeouts()).await
}

/// Change some timeouts, from the next sweep on
///
/// What the body leaves out stays as it is. Nothing is changed where any of it is wrong.
#[utoipa::path(patch, path = "/api/v1/timeouts", tag = "timeouts",
    request_body(content = TimeoutsPatch, content_type = "application/json"),
    responses(
        (status = 200, description = "All timeouts, with the change", body = Timeouts),
        (status = 400, description = "The body is not JSON", body = ErrorBody),
        (status = 413, description = "The body is too long", body = ErrorBody),
        (status = 415, description = "The body is not said to be JSON", body = ErrorBody),
        (status = 422, description = "A key or value is wrong; `field` names it", body = ErrorBody),
        (status = 503, description = "They cannot be changed now", body = ErrorBody),
))]
pub(super) async fn set_timeouts(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Timeouts> {
    let patch = read(&headers, body)?;
    Ok(Json(api.ask(move |plane| plane.set_timeouts(&patch)).await??))
}

fn read(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<TimeoutsPatch, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "application/json" | "application/merge-patch+json") {
        let message = format!("content-type \"{content_type}\": expected application/json");
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = body.map_err(|rejection| ApiError::new(rejection.status(), rejection.body_text()))?;
    let document: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}")))?;
    if !document.is_object() {
        return Err(ApiError::body("", "expected an object such as {\"active_timeout\": \"10s\"}"));
    }
    let patch: TimeoutsPatch = serde_path_to_error::deserialize(document).map_err(|error| {
        let field = error.path().to_string();
        ApiError::body(&field, format!("{field}: {}", error.inner()))
    })?;
    patch.check().map_err(|fault| ApiError::body(&fault.key, fault.to_string()))?;
    Ok(patch)
}
