//! Errors of the endpoint: a status code and one JSON form for all of them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::control_plane::Refusal;

/// What an error looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// What was wrong and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// One line: what was wrong, and what would be right.
    pub message: String,
    /// The parameter of the query or the key of the body at fault; null where the error is about neither.
    pub field: Option<String>,
}

/// An error on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    detail: ErrorDetail,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, detail: ErrorDetail { message: message.into(), field: None } }
    }

    /// A parameter of the query is wrong: 400.
    pub(super) fn query(parameter: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, message).at(parameter)
    }

    /// The body is well-formed, but a key of it is wrong: 422.
    pub(super) fn body(key: &str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message).at(key)
    }

    fn at(mut self, field: &str) -> ApiError {
        self.detail.field = (!field.is_empty()).then(|| field.to_owned());
        self
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Unavailable(message) => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorBody { error: self.detail })).into_response()
    }
}
