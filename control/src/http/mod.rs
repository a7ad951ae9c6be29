//! The control endpoint: watch and operate a running probe over HTTP, on loopback by default.
//!
//! The program behind it is a [`ControlPlane`]; nothing here knows a worker, a table or an exporter. A new route is a
//! handler in the file of its group and a row in `routes.rs`; a new metric is a row in `metrics_table.rs`.

mod api;
mod control_plane;
mod error;
mod flows;
mod guard;
mod health;
mod ledger;
mod metrics;
mod metrics_table;
pub mod model;
mod openapi;
pub mod query;
mod routes;
mod server;
mod status;
mod timeouts;

pub use control_plane::{ControlPlane, Figures, Refusal};
pub use error::{ErrorBody, ErrorDetail};
pub use metrics::encoded as metrics_text;
pub use metrics_table::{Kind, METRICS, Metric, MetricUnit};
pub use routes::PATHS;
pub use server::{ListenError, listen, serve};
