//! Listening and serving.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::api::Api;
use super::control_plane::ControlPlane;
use super::error::ApiError;
use super::{guard, routes};

/// Longest body taken, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How long requests under way may still take after the shutdown.
const DRAIN: Duration = Duration::from_secs(2);

/// The endpoint cannot listen where it was told to. Displays as one line with what to do.
#[derive(Debug, thiserror::Error)]
#[error("http.listen = \"{address}\": {cause}; {advice}")]
pub struct ListenError {
    /// Where it should have listened.
    pub address: SocketAddr,
    /// The system's answer.
    #[source]
    pub cause: io::Error,
    advice: &'static str,
}

/// Listens on `address`; port 0 takes a free one.
///
/// # Errors
/// Where the address is taken, not this machine's, or not allowed.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| {
        let advice = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there, perhaps another tapspan; choose another port with --http, or --http off"
            }
            io::ErrorKind::AddrNotAvailable => "give an address of this machine with --http, such as 127.0.0.1:8277",
            io::ErrorKind::PermissionDenied => "ports below 1024 need privileges; choose a higher one with --http",
            _ => "choose another address with --http, or --http off",
        };
        ListenError { address, cause, advice }
    })
}

/// Serves until `shutdown` is done, then lets requests under way finish within 2 s.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    plane: Arc<dyn ControlPlane>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let loopback_only = listener.local_addr()?.ip().is_loopback();
    let (draining, drained) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        // Only fails where serving has already ended.
        let _ended = draining.send(());
    };
    let server = axum::serve(listener, app(plane, loopback_only)).with_graceful_shutdown(shutdown);
    let limit = async {
        if drained.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = server => served,
        () = limit => Ok(()),
    }
}

fn app(plane: Arc<dyn ControlPlane>, loopback_only: bool) -> Router {
    let router = routes::router()
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(guard::require_same_origin))
        .layer(from_fn(guard::limit_time))
        .with_state(Api::new(plane));
    if loopback_only { router.layer(from_fn(guard::require_local_host)) } else { router }
}

async fn unknown_route(uri: Uri) -> ApiError {
    let message = format!("there is no {}; /api/v1/openapi.json lists all routes", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, message)
}

async fn unknown_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} is not for {}; the Allow header says what is", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
