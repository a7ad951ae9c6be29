//! What keeps web pages away from an endpoint without passwords, and one slow request from staying for ever.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

/// Longest time for one request, its body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// On loopback, only for requests that name it so: a page that points its own name at 127.0.0.1 (DNS rebinding) stays out.
pub(super) async fn require_local_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_none_or(is_local) {
        return next.run(request).await;
    }
    let message = "this endpoint is on loopback: ask for localhost, 127.0.0.1 or [::1]";
    ApiError::new(StatusCode::FORBIDDEN, message).into_response()
}

/// A request that changes something must not come from a web page of somewhere else.
pub(super) async fn require_same_origin(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    ApiError::new(StatusCode::FORBIDDEN, "requests from web pages of other origins are refused")
        .into_response()
}

/// Answers 408 where a request is not done in time.
pub(super) async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request took longer than 30 s").into_response()
        }
    }
}

/// Whether `host`, with or without a port, is this machine by address or as `localhost`.
fn is_local(host: &str) -> bool {
    let Ok(uri) = host.parse::<Uri>() else { return false };
    let name = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let authority =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    authority.is_some() && authority == host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["localhost", "LOCALHOST:8277", "127.0.0.1:8277", "127.8.8.8", "[::1]:8277"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "evil.example", "evil.example:8277", "127.0.0.1.evil.example", "192.0.2.1", "localhost.evil"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
