//! The one place threads are made: each with a name; who stops and joins it is said where it is asked for.
//!
//! | thread | core | stopped by | joined by |
//! |---|---|---|---|
//! | `tapspan-rx-N` | its own, pinned | the stop flag | `live` |
//! | `tapspan-sweep` | control cores | a message | `live` |
//! | `tapspan-http` | control cores | dropping its shutdown sender | `live` |
//! | `tapspan-export` | control cores | `Exporter::shutdown` | the same |

use std::thread::{Builder, JoinHandle};

use super::AppError;

/// Starts a thread called `name`.
pub(super) fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, AppError> {
    let failed =
        |error| AppError::Failed(format!("cannot start a thread: {error}; raise the limit of processes"));
    Builder::new().name(name).spawn(body).map_err(failed)
}
