//! From settings to spans: what every span says, where spans go, and how they are encoded for each place.

use std::env;
use std::sync::Arc;

use bytes::Bytes;
use flowtable::FlowRecord;

use super::AppError;
use crate::config::{BatchSize, Compression, DestinationConfig, ExportConfig, FileFormat, Settings};
use crate::export::{self, BatchEncoder, Environment, ExportSettings, Exporter, header};
use crate::span::{Format, HostFacts, Interface, Resource, ResourceSources, SpanEncoder, SpanSettings};

/// What every span of this run says. `instance` tells programs on one machine apart and must not change by itself.
pub(super) fn span_settings(
    settings: &Settings,
    interfaces: Vec<Interface>,
    instance: &str,
    seed: u64,
) -> Result<SpanSettings, AppError> {
    let added: Vec<(String, String)> =
        settings.resource.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let host = HostFacts::of_this_machine();
    let variable = |name| env::var(name).ok();
    let (attributes, service) = (variable("OTEL_RESOURCE_ATTRIBUTES"), variable("OTEL_SERVICE_NAME"));
    let resource = Resource::new(&ResourceSources {
        host: Some(&host),
        instance,
        settings: &added,
        env_attributes: attributes.as_deref(),
        env_service_name: service.as_deref(),
    })?;
    Ok(SpanSettings {
        identity_seed: seed,
        community_id_seed: settings.flow.community_id_seed,
        interfaces,
        attributes: settings.span.selection().expect("checked when the settings were read"),
        sampling_rate: settings.filter.sampling_rate(),
        resource,
    })
}

/// The destinations the settings name; where they name none, what `OTEL_EXPORTER_OTLP_ENDPOINT` says, else `default`.
pub(super) fn destinations(config: &ExportConfig, default: &str) -> Result<Vec<ExportSettings>, AppError> {
    let environment = Environment::read(|name| env::var(name).ok())?;
    if config.destination.is_empty() {
        let endpoint = match &environment.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => default.parse()?,
        };
        return Ok(vec![with_pipeline(environment.settings(endpoint), config)]);
    }
    config.destination.iter().map(|destination| one(destination, config, &environment)).collect()
}

fn one(
    destination: &DestinationConfig,
    config: &ExportConfig,
    environment: &Environment,
) -> Result<ExportSettings, AppError> {
    let mut settings = with_pipeline(environment.settings(destination.url.parse()?), config);
    for (name, value) in &destination.headers {
        let (name, value) = header(name, value)?;
        settings.headers.insert(name, value);
    }
    if let Some(timeout) = destination.timeout {
        settings.timeout = timeout;
    }
    if let Some(compression) = destination.compression {
        settings.compression = match compression {
            Compression::None => export::Compression::None,
            Compression::Gzip => export::Compression::Gzip,
            Compression::Zstd => export::Compression::Zstd,
        };
    }
    if let Some(format) = destination.format {
        settings.file_format = match format {
            FileFormat::Json => export::FileFormat::Json,
            FileFormat::Protobuf => export::FileFormat::Protobuf,
        };
    }
    let replace = |file: &mut Option<std::path::PathBuf>, by: &Option<std::path::PathBuf>| {
        if by.is_some() {
            file.clone_from(by);
        }
    };
    replace(&mut settings.tls.ca, &destination.ca_file);
    replace(&mut settings.tls.client_certificate, &destination.cert_file);
    replace(&mut settings.tls.client_key, &destination.key_file);
    Ok(settings)
}

fn with_pipeline(mut settings: ExportSettings, config: &ExportConfig) -> ExportSettings {
    settings.queue_capacity = config.queue_size as usize;
    settings.max_batch = match config.batch_size {
        BatchSize::Auto => settings.max_batch.min(settings.queue_capacity),
        BatchSize::Spans(spans) => spans as usize,
    };
    settings.in_flight = config.in_flight as usize;
    settings.encoders = config.encoders as usize;
    settings.schedule_delay = Some(config.batch_delay);
    settings.retry.max_elapsed = config.retry_for;
    settings
}

/// Starts the exporter with encoders of their own for each destination.
pub(super) fn start_exporter(
    destinations: &[ExportSettings],
    spans: SpanSettings,
) -> Result<Exporter, AppError> {
    let spans = Arc::new(spans);
    let encoder = |format: export::Format| -> Box<dyn BatchEncoder> {
        let format = match format {
            export::Format::Protobuf => Format::Protobuf,
            export::Format::Json => Format::Json,
            export::Format::Text => Format::Text,
        };
        Box::new(Encoder(SpanEncoder::new(Arc::clone(&spans), format)))
    };
    Ok(Exporter::start(destinations, encoder)?)
}

/// Whether standard output carries spans, so that reports have to go elsewhere.
pub(super) fn uses_stdout(destinations: &[ExportSettings]) -> bool {
    destinations.iter().any(|settings| matches!(settings.endpoint, export::Endpoint::Stdout))
}

struct Encoder(SpanEncoder);

impl BatchEncoder for Encoder {
    fn encode(&mut self, records: &[FlowRecord]) -> Bytes {
        self.0.encode(records)
    }

    fn encode_parts(&mut self, parts: &[&[FlowRecord]]) -> Bytes {
        self.0.encode_parts(parts)
    }
}
