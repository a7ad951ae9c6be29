//! The settings of one destination: where, how, and how the pipeline before it behaves.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::retry::{GiveUp, Retry};

/// Port of OTLP/gRPC where a `grpc://` URL names none.
const GRPC_PORT: u16 = 4317;
/// Path of the trace service over HTTP, OTLP specification "OTLP/HTTP Request".
const TRACES_PATH: &str = "/v1/traces";
/// Spans a request over the network. At 1.4 kB a span and with events this stays far below the 4 MiB a gRPC server takes
/// by default.
const NETWORK_BATCH: usize = 1_024;
/// Spans a request in a file. Keeps a line of OTLP/JSON below the 1 MiB the Collector's file receivers read by default.
const FILE_BATCH: usize = 256;
/// Batches under way at once over the network: while one is acknowledged the next ones are encoded and sent. A collector has
/// no more to hold at once than four requests.
const NETWORK_IN_FLIGHT: usize = 4;
/// Records a destination may have waiting: 52 MB at 400 bytes each, events and tunnels aside.
const QUEUE_CAPACITY: usize = 131_072;
/// Longest time a record waits for a batch to fill.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);
/// Longest time one export call may take, as the OTLP exporter specification has it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Records a replay has waiting at most: what fits the last-level cache of one core and its neighbours, 6 MB.
const REPLAY_QUEUE: usize = 16_384;
/// Time after which a replay gives a destination up.
const REPLAY_MAX_ELAPSED: Duration = Duration::from_secs(30);

/// A setting that cannot be used. Displays as one line: the key, its value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: \"{value}\" is not usable: {expected}")]
pub struct SettingError {
    /// The setting at fault.
    pub key: String,
    /// Its value; left out of the text where it may hold a secret.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

impl SettingError {
    pub(super) fn new(key: &str, value: impl Into<String>, expected: impl Into<String>) -> SettingError {
        SettingError { key: key.to_owned(), value: value.into(), expected: expected.into() }
    }

    pub(super) fn under(self, key: &str) -> SettingError {
        SettingError { key: key.to_owned(), ..self }
    }
}

/// How a batch is encoded; each destination takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A protobuf `ExportTraceServiceRequest`.
    Protobuf,
    /// The same as OTLP/JSON, on one line, without a line end.
    Json,
    /// For people to read, with line ends.
    Text,
}

/// Where spans go. Parsed from and displayed as a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// OTLP/gRPC in clear: `grpc://host:port`.
    Grpc {
        /// `host:port`.
        authority: String,
    },
    /// OTLP/gRPC over TLS: `grpcs://host:port`.
    Grpcs {
        /// `host:port`.
        authority: String,
    },
    /// OTLP/HTTP with protobuf bodies: `http://` or `https://`, the URL requests are posted to.
    Http {
        /// The whole URL.
        url: String,
    },
    /// Requests in a [`FileFormat`]: `file:PATH`. What the file held before is overwritten.
    File(PathBuf),
    /// Text for people: `stdout`.
    Stdout,
}

impl Endpoint {
    fn is_network(&self) -> bool {
        !matches!(self, Endpoint::File(_) | Endpoint::Stdout)
    }

    /// Host and port a connection goes to; `None` for those that need none. IPv6 addresses come without brackets.
    pub fn host_port(&self) -> Option<(String, u16)> {
        let uri: Uri = match self {
            Endpoint::Grpc { authority } | Endpoint::Grpcs { authority } => authority.parse().ok()?,
            Endpoint::Http { url } => url.parse().ok()?,
            Endpoint::File(_) | Endpoint::Stdout => return None,
        };
        let authority = uri.authority()?;
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), authority.port_u16().unwrap_or(default_port)))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Grpc { authority } => write!(f, "grpc://{authority}"),
            Endpoint::Grpcs { authority } => write!(f, "grpcs://{authority}"),
            Endpoint::Http { url } => f.write_str(url),
            Endpoint::File(path) => write!(f, "file:{}", path.display()),
            Endpoint::Stdout => f.write_str("stdout"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Endpoint, SettingError> {
        let wrong = |expected: &str| SettingError::new("export", text, expected);
        if text == "stdout" {
            return Ok(Endpoint::Stdout);
        }
        if let Some(path) = text.strip_prefix("file:") {
            // file:///absolute is a URL too; two slashes and a host are not meant here.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(wrong("give a path, as in file:spans.jsonl"));
            }
            return Ok(Endpoint::File(PathBuf::from(path)));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Err(wrong(
                "give grpc://host:port, grpcs://host:port, http://host:port, https://host:port, file:PATH or stdout",
            ));
        };
        match scheme {
            "grpc" => Ok(Endpoint::Grpc { authority: grpc_authority(text).map_err(wrong)? }),
            "grpcs" => Ok(Endpoint::Grpcs { authority: grpc_authority(text).map_err(wrong)? }),
            "http" | "https" => {
                Ok(Endpoint::Http { url: http_url(text, DefaultPath::Traces).map_err(wrong)? })
            }
            _ => Err(wrong("use one of the schemes grpc, grpcs, http, https, file: or stdout")),
        }
    }
}

/// What stands for the path of a URL that has none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DefaultPath {
    /// `/v1/traces`.
    Traces,
    /// `/`, for URLs that are used as they are.
    Root,
}

/// `host:port` of a URL without a path.
pub(super) fn grpc_authority(url: &str) -> Result<String, &'static str> {
    let uri = parse_uri(url)?;
    if !matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("" | "/")) {
        return Err("OTLP/gRPC has no path; give scheme, host and port only");
    }
    let authority = uri.authority().ok_or("give a host")?;
    Ok(match authority.port() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:{GRPC_PORT}"),
    })
}

/// The URL to post to.
pub(super) fn http_url(url: &str, default_path: DefaultPath) -> Result<String, &'static str> {
    let uri = parse_uri(url)?;
    if default_path == DefaultPath::Traces && uri.path() == "/" && uri.query().is_none() {
        return Ok(format!("{}{TRACES_PATH}", url.trim_end_matches('/')));
    }
    Ok(url.to_owned())
}

fn parse_uri(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri =
        url.parse().map_err(|_| "give a URL such as grpc://collector:4317 or http://collector:4318")?;
    let authority = uri.authority().ok_or("give a host, as in grpc://collector:4317")?;
    if authority.as_str().contains('@') {
        return Err("credentials belong into a header (authorization), not into the URL");
    }
    if authority.host().is_empty() {
        return Err("give a host, as in grpc://collector:4317");
    }
    let after_host = &authority.as_str()[authority.host().len()..];
    if !after_host.is_empty() && authority.port_u16().is_none() {
        return Err("give a port from 1 to 65535");
    }
    Ok(uri)
}

/// Compression of requests over the network; the others ignore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl FromStr for Compression {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Compression, SettingError> {
        match text {
            "none" => Ok(Compression::None),
            "gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            _ => Err(SettingError::new("compression", text, "give none, gzip or zstd")),
        }
    }
}

/// How a file is written; the others ignore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// OTLP/JSON, one request a line.
    #[default]
    Json,
    /// OTLP protobuf, each request behind its length in four octets, big-endian.
    Protobuf,
}

/// Files for TLS, PEM each. Used by `grpcs` and `https` only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The probe's own certificate chain; needs `client_key`.
    pub client_certificate: Option<PathBuf>,
    /// The key to it.
    pub client_key: Option<PathBuf>,
}

/// The settings of one destination.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// Where spans go.
    pub endpoint: Endpoint,
    /// Sent with every request over the network. See [`header`].
    pub headers: HeaderMap,
    /// Longest time one export call over the network may take.
    pub timeout: Duration,
    /// Compression of requests.
    pub compression: Compression,
    /// How a file is written.
    pub file_format: FileFormat,
    /// TLS files.
    pub tls: TlsFiles,
    /// Most spans in one request; 1 or more.
    pub max_batch: usize,
    /// Longest time a record waits for a batch to fill. `None`: only a full batch, a flush or the shutdown makes
    /// records leave, so that the batches depend on the records alone.
    pub schedule_delay: Option<Duration>,
    /// Most records waiting, the batch under way included; `max_batch` or more.
    pub queue_capacity: usize,
    /// Most batches under way at once, where the destination takes several; 1 or more.
    pub in_flight: usize,
    /// Batches encoded and compressed at once. With 1 that is done on the exporter's thread, with more on threads of their
    /// own.
    pub encoders: usize,
    /// Repetition of failed calls.
    pub retry: Retry,
}

impl ExportSettings {
    /// The defaults for a destination, for live use.
    pub fn new(endpoint: Endpoint) -> ExportSettings {
        let (max_batch, in_flight) =
            if endpoint.is_network() { (NETWORK_BATCH, NETWORK_IN_FLIGHT) } else { (FILE_BATCH, 1) };
        ExportSettings {
            endpoint,
            headers: HeaderMap::new(),
            timeout: TIMEOUT,
            compression: Compression::None,
            file_format: FileFormat::default(),
            tls: TlsFiles::default(),
            max_batch,
            schedule_delay: Some(SCHEDULE_DELAY),
            queue_capacity: QUEUE_CAPACITY,
            in_flight,
            encoders: 1,
            retry: Retry::default(),
        }
    }

    /// The same for offline replay: batches by count alone, no more records waiting than evens out what a sweep cuts, as the
    /// replay waits for the destination in any case, and a destination that stays away for 30 s is given up.
    #[must_use]
    pub fn for_replay(mut self) -> ExportSettings {
        self.schedule_delay = None;
        self.queue_capacity = self.queue_capacity.min(REPLAY_QUEUE.max(self.max_batch));
        self.retry.max_elapsed = self.retry.max_elapsed.min(REPLAY_MAX_ELAPSED);
        self.retry.give_up = GiveUp::Destination;
        self
    }

    /// The encoding of a batch.
    pub fn format(&self) -> Format {
        match (&self.endpoint, self.file_format) {
            (Endpoint::Stdout, _) => Format::Text,
            (Endpoint::File(_), FileFormat::Json) => Format::Json,
            (Endpoint::File(_), FileFormat::Protobuf)
            | (Endpoint::Grpc { .. } | Endpoint::Grpcs { .. } | Endpoint::Http { .. }, _) => Format::Protobuf,
        }
    }

    /// How bodies are compressed: over the network as set, elsewhere not at all.
    pub(super) fn body_compression(&self) -> Compression {
        if self.endpoint.is_network() { self.compression } else { Compression::None }
    }

    /// Whether the figures can work together.
    ///
    /// # Errors
    /// Names the first setting that cannot.
    pub fn validate(&self) -> Result<(), SettingError> {
        let wrong = |key: &str, value: String, expected: &str| Err(SettingError::new(key, value, expected));
        if self.max_batch == 0 {
            return wrong("max_batch", self.max_batch.to_string(), "give 1 or more spans");
        }
        for (key, number) in [("in_flight", self.in_flight), ("encoders", self.encoders)] {
            if number == 0 {
                return wrong(key, "0".into(), "give 1 or more");
            }
        }
        if self.queue_capacity < self.max_batch {
            let expected = format!("give at least max_batch, {} records", self.max_batch);
            return wrong("queue_capacity", self.queue_capacity.to_string(), &expected);
        }
        if self.timeout.is_zero() {
            return wrong("timeout", "0".into(), "give a time above zero, 10 s is usual");
        }
        if self.retry.initial.is_zero() {
            return wrong("retry.initial", "0".into(), "give a time above zero, 500 ms is usual");
        }
        if !(0.0..=1.0).contains(&self.retry.jitter) {
            return wrong("retry.jitter", self.retry.jitter.to_string(), "give a share from 0 to 1");
        }
        if self.tls.client_certificate.is_some() != self.tls.client_key.is_some() {
            let file = self.tls.client_certificate.as_ref().or(self.tls.client_key.as_ref());
            let value = file.map(|path| path.display().to_string()).unwrap_or_default();
            return wrong("tls", value, "give both client_certificate and client_key, or neither");
        }
        Ok(())
    }
}

impl FromStr for ExportSettings {
    type Err = SettingError;

    fn from_str(url: &str) -> Result<ExportSettings, SettingError> {
        Ok(ExportSettings::new(url.parse()?))
    }
}

/// One header, checked; its value is kept out of `Debug` output.
///
/// # Errors
/// Where HTTP or gRPC would not take it.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), SettingError> {
    let lower = name.trim().to_ascii_lowercase();
    let wrong = |expected: &str| SettingError::new("headers", name, expected);
    if lower.ends_with("-bin") || lower.starts_with("grpc-") {
        return Err(wrong("names ending in -bin or starting with grpc- are gRPC's own"));
    }
    let checked_name =
        HeaderName::from_str(&lower).map_err(|_| wrong("a header's name is letters, digits and -"))?;
    let mut checked_value = HeaderValue::from_str(value.trim())
        .map_err(|_| wrong("its value holds characters that no header may (line ends, control codes)"))?;
    checked_value.set_sensitive(true);
    Ok((checked_name, checked_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        url.parse::<Endpoint>().unwrap().to_string()
    }

    fn error(url: &str) -> String {
        url.parse::<Endpoint>().unwrap_err().to_string()
    }

    #[test]
    fn every_form_of_url_is_understood() {
        assert_eq!(shown("grpc://collector:4317"), "grpc://collector:4317");
        assert_eq!(shown("grpcs://collector"), "grpcs://collector:4317");
        assert_eq!(shown("grpc://[::1]:9"), "grpc://[::1]:9");
        assert_eq!(shown("http://collector:4318"), "http://collector:4318/v1/traces");
        assert_eq!(shown("http://collector:4318/"), "http://collector:4318/v1/traces");
        assert_eq!(shown("https://collector/otlp/v1/traces"), "https://collector/otlp/v1/traces");
        assert_eq!(shown("file:out/spans.jsonl"), "file:out/spans.jsonl");
        assert_eq!(shown("file:///tmp/spans.jsonl"), "file:/tmp/spans.jsonl");
        assert_eq!(shown("stdout"), "stdout");
    }

    #[test]
    fn a_wrong_url_is_named_with_what_would_be_right() {
        assert_eq!(
            error("collector:4317"),
            "export: \"collector:4317\" is not usable: give grpc://host:port, grpcs://host:port, \
             http://host:port, https://host:port, file:PATH or stdout"
        );
        assert!(error("tcp://collector:4317").contains("use one of the schemes"));
        assert!(error("grpc://collector:4317/path").contains("has no path"));
        assert!(error("grpc://collector:99999").contains("port"));
        assert!(error("grpc://collector:").contains("port"));
        assert!(error("http://user:secret@collector:1").contains("header"));
        assert!(error("http://").contains("host") || error("http://").contains("URL"));
        assert!(error("file:").contains("path"));
    }

    #[test]
    fn connections_go_to_the_host_and_port_of_the_url() {
        let host_port = |url: &str| url.parse::<Endpoint>().unwrap().host_port();
        assert_eq!(host_port("grpc://collector"), Some(("collector".into(), 4317)));
        assert_eq!(host_port("http://[::1]:9/x"), Some(("::1".into(), 9)));
        assert_eq!(host_port("https://collector/x"), Some(("collector".into(), 443)));
        assert_eq!(host_port("stdout"), None);
    }

    #[test]
    fn header_values_stay_out_of_debug_output() {
        let (name, value) = header("Authorization", "Bearer secret").unwrap();
        assert_eq!(name, "authorization");
        assert!(!format!("{value:?}").contains("secret"));
        assert!(header("bad name", "x").is_err());
        assert!(header("x", "a\nb").is_err());
        assert!(header("trace-bin", "x").is_err());
    }

    #[test]
    fn settings_that_cannot_work_together_are_refused() {
        let good: ExportSettings = "grpc://collector".parse().unwrap();
        assert_eq!(good.validate(), Ok(()));
        let small = ExportSettings { queue_capacity: 1, ..good.clone() };
        assert_eq!(
            small.validate().unwrap_err().to_string(),
            "queue_capacity: \"1\" is not usable: give at least max_batch, 1024 records"
        );
        let tls = TlsFiles { client_key: Some("key.pem".into()), ..TlsFiles::default() };
        assert!(ExportSettings { tls, ..good }.validate().is_err());
    }
}
