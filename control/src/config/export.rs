//! `[export]`: where spans go, how they are batched, and how long they wait.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::range::within;
use super::units;

/// Most destinations at once; each has a queue of its own.
const MAX_DESTINATIONS: usize = 16;
/// The URLs a destination may have, for errors and help.
pub const URL_FORMS: &str =
    "grpc://HOST:PORT, grpcs://HOST:PORT, http://HOST:PORT, https://HOST:PORT, file:PATH or stdout";

/// The export of spans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportConfig {
    /// Records that may wait for each destination, in memory; when full, further ones are dropped and counted.
    #[serde(deserialize_with = "units::count")]
    pub queue_size: u32,
    /// Most spans in one request.
    pub batch_size: BatchSize,
    /// Most requests to a destination over the network that are not answered yet; 1 sends the next one after the answer.
    #[serde(deserialize_with = "units::count")]
    pub in_flight: u32,
    /// Batches that are encoded and compressed at once for each destination.
    #[serde(deserialize_with = "units::count")]
    pub encoders: u32,
    /// How long a span waits for its batch to fill.
    #[serde(with = "units::duration")]
    pub batch_delay: Duration,
    /// How long a batch is tried again where the answer allows it; 0 tries once.
    #[serde(with = "units::duration")]
    pub retry_for: Duration,
    /// How long the shutdown waits for what is still queued.
    #[serde(with = "units::duration")]
    pub shutdown_grace: Duration,
    /// Where spans go. Empty where neither file, environment nor flags name one: the caller decides.
    pub destination: Vec<DestinationConfig>,
}

impl Default for ExportConfig {
    fn default() -> ExportConfig {
        ExportConfig {
            queue_size: 131_072,
            batch_size: BatchSize::Auto,
            in_flight: 4,
            encoders: 1,
            batch_delay: Duration::from_secs(1),
            retry_for: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(5),
            destination: Vec::new(),
        }
    }
}

impl ExportConfig {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("export.queue_size", u64::from(self.queue_size), 1..=1 << 30)?;
        if let BatchSize::Spans(spans) = self.batch_size {
            within("export.batch_size", u64::from(spans), 1..=16_384)?;
        }
        within("export.in_flight", u64::from(self.in_flight), 1..=64)?;
        within("export.encoders", u64::from(self.encoders), 1..=64)?;
        let hour = Duration::from_secs(3600);
        within("export.batch_delay", self.batch_delay, Duration::from_millis(1)..=Duration::from_secs(60))?;
        within("export.retry_for", self.retry_for, Duration::ZERO..=hour)?;
        within("export.shutdown_grace", self.shutdown_grace, Duration::ZERO..=hour)?;
        if self.destination.len() > MAX_DESTINATIONS {
            let number = format!("{} destinations", self.destination.len());
            return Err(Fault::new(
                "export.destination",
                number,
                format!("expected at most {MAX_DESTINATIONS}"),
            ));
        }
        self.destination.iter().enumerate().try_for_each(|(index, destination)| destination.check(index))
    }

    /// Checks the settings that only make sense together.
    pub(super) fn check_together(&self) -> Result<(), Fault> {
        if let BatchSize::Spans(spans) = self.batch_size
            && spans > self.queue_size
        {
            let expected = format!("expected at most export.queue_size, which is {}", self.queue_size);
            return Err(Fault::new("export.batch_size", spans.to_string(), expected));
        }
        for (index, destination) in self.destination.iter().enumerate() {
            if self.destination[..index].iter().any(|other| other.url == destination.url) {
                let expected = "expected each destination once";
                return Err(Fault::new(
                    format!("export.destination[{index}].url"),
                    format!("{:?}", destination.url),
                    expected,
                ));
            }
        }
        Ok(())
    }
}

/// Most spans in one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchSize {
    /// What suits the destination, never above the queue.
    #[default]
    Auto,
    /// This many, 1 to 16,384.
    Spans(u32),
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            BatchSize::Auto => serializer.serialize_str("auto"),
            BatchSize::Spans(spans) => serializer.serialize_u32(*spans),
        }
    }
}

impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BatchSize, D::Error> {
        let spans = units::auto_or_count(deserializer)?;
        Ok(spans.map_or(BatchSize::Auto, BatchSize::Spans))
    }
}

/// One place spans go to. What is left out is taken from `OTEL_EXPORTER_OTLP_*`, else from the default.
///
/// `Debug` shows the names of headers but not their values, which are often secrets.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationConfig {
    /// See [`URL_FORMS`]. `http` and `https` without a path get `/v1/traces`.
    pub url: String,
    /// Headers (gRPC: metadata) sent with each request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How long one request may take, 1 ms to 1 h.
    #[serde(default, with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Compression of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// How a file is written; with `file:PATH` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// PEM file of the authorities that may have signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate; with `key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client's key; with `cert_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// How a file of spans is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// OTLP/JSON, one request a line.
    Json,
    /// OTLP protobuf, each request behind its length in four octets, big-endian.
    Protobuf,
}

impl FileFormat {
    fn as_str(self) -> &'static str {
        match self {
            FileFormat::Json => "json",
            FileFormat::Protobuf => "protobuf",
        }
    }
}

impl DestinationConfig {
    /// A destination with nothing but its URL.
    pub fn new(url: impl Into<String>) -> DestinationConfig {
        DestinationConfig { url: url.into(), ..DestinationConfig::default() }
    }

    fn check(&self, index: usize) -> Result<(), Fault> {
        let key = |field: &str| format!("export.destination[{index}].{field}");
        if !is_destination(&self.url) {
            return Err(Fault::new(key("url"), format!("{:?}", self.url), format!("expected {URL_FORMS}")));
        }
        if let Some(timeout) = self.timeout {
            within(&key("timeout"), timeout, Duration::from_millis(1)..=Duration::from_secs(3600))?;
        }
        if let Some(format) = self.format
            && !self.url.starts_with("file:")
        {
            let expected =
                "expected with file:PATH only; leave it out (stdout is text, and the network gets protobuf)";
            return Err(Fault::new(key("format"), format!("\"{}\"", format.as_str()), expected));
        }
        for (field, file, partner) in
            [("cert_file", &self.cert_file, &self.key_file), ("key_file", &self.key_file, &self.cert_file)]
        {
            if file.is_some() && partner.is_none() {
                return Err(Fault::new(key(field), "", "expected cert_file and key_file together"));
            }
        }
        for name in self.headers.keys() {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(Fault::new(
                    key("headers"),
                    format!("{name:?}"),
                    "expected names of HTTP headers",
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DestinationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DestinationConfig")
            .field("url", &self.url)
            .field("headers", &self.headers.keys())
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("format", &self.format)
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .finish()
    }
}

/// Whether `url` has one of [`URL_FORMS`]. Whether the other end exists is for the exporter to find out.
fn is_destination(url: &str) -> bool {
    if url == "stdout" {
        return true;
    }
    if let Some(path) = url.strip_prefix("file:") {
        return !path.is_empty();
    }
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    matches!(uri.scheme_str(), Some("grpc" | "grpcs" | "http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_urls_are_taken_and_others_refused() {
        for url in [
            "grpc://localhost:4317",
            "grpcs://otel.example:443",
            "http://[::1]:4318",
            "https://otel.example/custom/path",
            "file:/var/spool/spans.jsonl",
            "file:spans.jsonl",
            "stdout",
        ] {
            assert!(is_destination(url), "{url}");
        }
        for url in
            ["", "localhost:4317", "grpc://", "file:", "ftp://host", "stdout:", "grpc:/host", "http://a b"]
        {
            assert!(!is_destination(url), "{url}");
        }
    }

    #[test]
    fn debug_output_keeps_header_values_to_itself() {
        let mut destination = DestinationConfig::new("grpc://localhost:4317");
        destination.headers.insert("authorization".into(), "Bearer s3cret".into());
        let shown = format!("{destination:?}");
        assert!(shown.contains("authorization") && !shown.contains("s3cret"), "{shown}");
    }
}
