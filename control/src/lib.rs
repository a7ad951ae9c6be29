//! The control side of tapspan: configuration, sweeping, spans, export and the HTTP endpoint.

pub mod app;
pub mod cli;
pub mod config;
pub mod export;
pub mod filter;
pub mod http;
pub mod span;
pub mod stitch;
pub mod telemetry;
