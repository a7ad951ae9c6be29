//! What every handler holds: the way to the program behind the endpoint.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::control_plane::ControlPlane;
use super::error::ApiError;

/// Most calls into the program at once; further requests wait for their turn.
const MAX_CALLS: usize = 4;

/// What a handler answers.
pub(super) type Answer<T> = Result<Json<T>, ApiError>;

/// The way to the program.
#[derive(Clone)]
pub(super) struct Api {
    plane: Arc<dyn ControlPlane>,
    turns: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(plane: Arc<dyn ControlPlane>) -> Api {
        Api { plane, turns: Arc::new(Semaphore::new(MAX_CALLS)) }
    }

    /// Makes `call` on a thread that may block, so that a walk through large tables holds up no other request.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn ControlPlane) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let failed = |_| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the call failed inside tapspan, see its log")
        };
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is never closed");
        let plane = Arc::clone(&self.plane);
        let call = tokio::task::spawn_blocking(move || {
            let answer = call(&*plane);
            drop(turn);
            answer
        });
        call.await.map_err(failed)
    }

    /// The same, with the answer as JSON.
    pub(super) async fn json<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn ControlPlane) -> T + Send + 'static,
    ) -> Answer<T> {
        self.ask(call).await.map(Json)
    }
}
