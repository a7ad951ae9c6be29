//! The table of routes: one row each, from which the router and the OpenAPI document are made.

use axum::routing::{MethodRouter, Router};
use utoipa::OpenApi;

use super::api::Api;
use super::{flows, health, ledger, metrics, openapi, status, timeouts};

/// Makes [`PATHS`], [`router`] and [`Document`] from rows of path, methods and handlers. A handler's own path in
/// `#[utoipa::path]` must be the same; a test compares them.
macro_rules! routes {
    ($($path:literal => $($method:ident $module:ident :: $handler:ident),+;)+) => {
        /// Every path with its methods, upper case.
        pub const PATHS: &[(&str, &[&str])] = &[$(($path, &[$(stringify!($method)),+])),+];

        pub(super) fn router() -> Router<Api> {
            Router::new()$(.route($path, MethodRouter::new()$(.$method($module::$handler))+))+
        }

        #[derive(OpenApi)]
        #[openapi(
            info(
                title = "tapspan",
                description = "Watch and operate a running probe. There are no passwords: the endpoint is meant for loopback.",
            ),
            paths($($($module::$handler),+),+)
        )]
        pub(super) struct Document;
    };
}

routes! {
    "/healthz" => get health::healthz;
    "/readyz" => get health::readyz;
    "/metrics" => get metrics::metrics;
    "/api/v1/status" => get status::status;
    "/api/v1/ports" => get status::ports;
    "/api/v1/workers" => get status::workers;
    "/api/v1/ledger" => get ledger::ledger;
    "/api/v1/latency" => get ledger::latency;
    "/api/v1/flows" => get flows::flows;
    "/api/v1/flush" => post flows::flush;
    "/api/v1/timeouts" => get timeouts::timeouts, patch timeouts::set_timeouts;
    "/api/v1/openapi.json" => get openapi::openapi;
}
