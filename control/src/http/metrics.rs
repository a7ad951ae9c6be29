//! `/metrics`: all figures as OpenMetrics text, which Prometheus scrapes.

use std::fmt;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::api::Api;
use super::control_plane::Figures;
use super::error::ApiError;
use super::metrics_table::{Kind, Labels, METRICS, Samples, Value};

/// OpenMetrics 1.0.0, "Overall Structure".
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures as Prometheus reads them
#[utoipa::path(get, path = "/metrics", tag = "metrics", responses(
    (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
))]
pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, ApiError> {
    let figures = api.ask(|plane| plane.figures()).await?;
    Ok(([(CONTENT_TYPE, CONTENT)], encoded(figures)).into_response())
}

/// The text for `figures`.
pub fn encoded(figures: Figures) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(FiguresCollector(figures)));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("writing to a string does not fail");
    text
}

#[derive(Debug)]
struct FiguresCollector(Figures);

impl Collector for FiguresCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in METRICS {
            let mut samples = Samples::default();
            (metric.samples)(&self.0, &mut samples);
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let unit = metric.unit.prometheus();
            let mut family = encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind)?;
            for (labels, value) in samples.into_rows() {
                if labels.is_empty() {
                    write_value(&mut family, &value)?;
                } else {
                    write_value(&mut family.encode_family(&escaped(labels))?, &value)?;
                }
            }
        }
        Ok(())
    }
}

fn write_value(encoder: &mut MetricEncoder<'_>, value: &Value) -> Result<(), fmt::Error> {
    match value {
        Value::Count(count) => encoder.encode_counter::<NoLabelSet, u64, u64>(count, None),
        Value::Level(level) => encoder.encode_gauge(level),
    }
}

/// Label values as OpenMetrics wants them; the library writes them as they are.
fn escaped(labels: Labels) -> Vec<(&'static str, String)> {
    let escape = |value: String| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    labels.into_iter().map(|(name, value)| (name, escape(value))).collect()
}
