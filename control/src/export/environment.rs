//! The standard variables `OTEL_EXPORTER_OTLP_*`, OpenTelemetry specification "OTLP Exporter Configuration".
//!
//! A `TRACES_` form wins over the general one. An empty variable counts as unset. Reads no environment itself.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;

use super::settings::{
    Compression, DefaultPath, Endpoint, ExportSettings, SettingError, TlsFiles, grpc_authority, header,
    http_url,
};

const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

/// What the standard variables say.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Where spans go if nothing else names a destination.
    pub endpoint: Option<Endpoint>,
    headers: HeaderMap,
    timeout: Option<Duration>,
    compression: Option<Compression>,
    tls: TlsFiles,
}

/// The value of a variable and its full name.
struct Found {
    key: String,
    value: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Protocol {
    Grpc,
    #[default]
    HttpProtobuf,
}

impl Environment {
    /// Reads the variables through `lookup`, in a program `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// Names the first variable whose value cannot be used. `http/json` is refused: this exporter speaks `grpc` and
    /// `http/protobuf`.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Environment, SettingError> {
        let find = |name: &str| {
            [format!("{PREFIX}TRACES_{name}"), format!("{PREFIX}{name}")].into_iter().find_map(|key| {
                let value = lookup(&key)?.trim().to_owned();
                (!value.is_empty()).then_some(Found { key, value })
            })
        };
        let path = |name: &str| find(name).map(|found| PathBuf::from(found.value));
        let protocol = find("PROTOCOL").map(protocol).transpose()?.unwrap_or_default();
        let insecure = find("INSECURE").is_some_and(|found| found.value.eq_ignore_ascii_case("true"));
        Ok(Environment {
            endpoint: find("ENDPOINT").map(|found| endpoint(&found, protocol, insecure)).transpose()?,
            headers: find("HEADERS").map(|found| headers(&found)).transpose()?.unwrap_or_default(),
            timeout: find("TIMEOUT").map(|found| timeout(&found)).transpose()?,
            compression: find("COMPRESSION").map(|found| compression(&found)).transpose()?,
            tls: TlsFiles {
                ca: path("CERTIFICATE"),
                client_certificate: path("CLIENT_CERTIFICATE"),
                client_key: path("CLIENT_KEY"),
            },
        })
    }

    /// The settings for `endpoint` with what the variables say as defaults.
    pub fn settings(&self, endpoint: Endpoint) -> ExportSettings {
        let mut settings = ExportSettings::new(endpoint);
        settings.headers = self.headers.clone();
        settings.timeout = self.timeout.unwrap_or(settings.timeout);
        settings.compression = self.compression.unwrap_or_default();
        settings.tls = self.tls.clone();
        settings
    }
}

fn protocol(found: Found) -> Result<Protocol, SettingError> {
    match found.value.as_str() {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        _ => Err(SettingError {
            key: found.key,
            value: found.value,
            expected: "give grpc or http/protobuf".into(),
        }),
    }
}

fn endpoint(found: &Found, protocol: Protocol, insecure: bool) -> Result<Endpoint, SettingError> {
    let wrong = |expected: &str| SettingError::new(&found.key, &found.value, expected);
    let scheme = found.value.split_once("://").map(|(scheme, _)| scheme);
    match (protocol, scheme) {
        (Protocol::Grpc, Some("http")) => {
            Ok(Endpoint::Grpc { authority: grpc_authority(&found.value).map_err(wrong)? })
        }
        (Protocol::Grpc, Some("https")) => {
            Ok(Endpoint::Grpcs { authority: grpc_authority(&found.value).map_err(wrong)? })
        }
        // INSECURE speaks for endpoints without a scheme only.
        (Protocol::Grpc, None) => {
            let authority = grpc_authority(&format!("http://{}", found.value)).map_err(wrong)?;
            Ok(if insecure { Endpoint::Grpc { authority } } else { Endpoint::Grpcs { authority } })
        }
        (Protocol::HttpProtobuf, Some("http" | "https")) => {
            if found.key.contains("TRACES_") {
                return Ok(Endpoint::Http { url: http_url(&found.value, DefaultPath::Root).map_err(wrong)? });
            }
            let url = format!("{}/v1/traces", found.value.trim_end_matches('/'));
            Ok(Endpoint::Http { url: http_url(&url, DefaultPath::Root).map_err(wrong)? })
        }
        _ => Err(wrong("give http://host:port or https://host:port")),
    }
}

/// `key=value` pairs separated by commas, values percent-encoded (W3C Baggage without properties).
fn headers(found: &Found) -> Result<HeaderMap, SettingError> {
    let mut headers = HeaderMap::new();
    for pair in found.value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The value may be a secret, so the message shows the name at most.
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            SettingError::new(
                &found.key,
                "...",
                "give pairs key=value separated by commas, values percent-encoded",
            )
        })?;
        let value = percent_decoded(value.trim()).ok_or_else(|| {
            SettingError::new(
                &found.key,
                name.trim(),
                "its value must be percent-encoded UTF-8, as in key=a%20b",
            )
        })?;
        let (name, value) = header(name, &value).map_err(|error| error.under(&found.key))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn timeout(found: &Found) -> Result<Duration, SettingError> {
    match found.value.parse::<u64>() {
        Ok(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
        _ => Err(SettingError::new(&found.key, &found.value, "give whole milliseconds above 0, as in 10000")),
    }
}

fn compression(found: &Found) -> Result<Compression, SettingError> {
    found.value.parse().map_err(|error: SettingError| error.under(&found.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, SettingError> {
        Environment::read(|name| {
            let rest = name.strip_prefix(PREFIX)?;
            variables.iter().find(|(key, _)| *key == rest).map(|(_, value)| (*value).to_owned())
        })
    }

    fn endpoint_of(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).unwrap().endpoint.map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn nothing_set_names_no_destination_and_changes_no_default() {
        assert_eq!(endpoint_of(&[]), None);
        assert_eq!(endpoint_of(&[("ENDPOINT", " ")]), None);
        let settings = read(&[]).unwrap().settings(Endpoint::Stdout);
        assert_eq!((settings.timeout, settings.compression), (Duration::from_secs(10), Compression::None));
    }

    #[test]
    fn the_general_endpoint_gets_the_path_and_the_traces_one_is_used_as_it_is() {
        assert_eq!(endpoint_of(&[("ENDPOINT", "http://c:4318")]).unwrap(), "http://c:4318/v1/traces");
        assert_eq!(
            endpoint_of(&[("ENDPOINT", "http://c:4318/otlp/")]).unwrap(),
            "http://c:4318/otlp/v1/traces"
        );
        let both = [("ENDPOINT", "http://c:1"), ("TRACES_ENDPOINT", "http://t:2/in")];
        assert_eq!(endpoint_of(&both).unwrap(), "http://t:2/in");
        assert_eq!(endpoint_of(&[("TRACES_ENDPOINT", "http://t:2")]).unwrap(), "http://t:2");
    }

    #[test]
    fn protocol_and_scheme_choose_the_transport() {
        let grpc = ("PROTOCOL", "grpc");
        assert_eq!(endpoint_of(&[grpc, ("ENDPOINT", "http://c:4317")]).unwrap(), "grpc://c:4317");
        assert_eq!(endpoint_of(&[grpc, ("ENDPOINT", "https://c")]).unwrap(), "grpcs://c:4317");
        assert_eq!(endpoint_of(&[grpc, ("ENDPOINT", "c:4317")]).unwrap(), "grpcs://c:4317");
        assert_eq!(
            endpoint_of(&[grpc, ("ENDPOINT", "c:4317"), ("INSECURE", "TRUE")]).unwrap(),
            "grpc://c:4317"
        );
        let traces = ("TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(endpoint_of(&[grpc, traces, ("ENDPOINT", "http://c")]).unwrap(), "http://c/v1/traces");
    }

    #[test]
    fn values_that_cannot_be_used_are_named_with_their_variable() {
        let error = |name, value| read(&[(name, value)]).unwrap_err().to_string();
        assert_eq!(
            error("TRACES_PROTOCOL", "http/json"),
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: \"http/json\" is not usable: give grpc or http/protobuf"
        );
        assert!(error("TIMEOUT", "10s").starts_with("OTEL_EXPORTER_OTLP_TIMEOUT: \"10s\""));
        assert!(error("COMPRESSION", "lz4").starts_with("OTEL_EXPORTER_OTLP_COMPRESSION: \"lz4\""));
        assert!(error("ENDPOINT", "c:4318").contains("http://host:port"));
        let headers = error("HEADERS", "authorization Bearer secret");
        assert!(
            headers.starts_with("OTEL_EXPORTER_OTLP_HEADERS") && !headers.contains("secret"),
            "{headers}"
        );
    }

    #[test]
    fn headers_are_percent_decoded_and_traces_ones_replace_the_general() {
        let variables =
            [("HEADERS", "x=1"), ("TRACES_HEADERS", "Authorization=Bearer%20a%2Cb, tenant = blue")];
        let settings = read(&variables).unwrap().settings(Endpoint::Stdout);
        assert_eq!(settings.headers["authorization"], "Bearer a,b");
        assert_eq!(settings.headers["tenant"], "blue");
        assert_eq!(settings.headers.len(), 2);
        assert!(read(&[("HEADERS", "x=%2")]).is_err());
    }

    #[test]
    fn the_rest_become_defaults_of_every_destination() {
        let variables = [
            ("TIMEOUT", "2500"),
            ("COMPRESSION", "gzip"),
            ("CERTIFICATE", "ca.pem"),
            ("TRACES_CLIENT_KEY", "k.pem"),
        ];
        let settings = read(&variables).unwrap().settings("grpc://other".parse().unwrap());
        assert_eq!(settings.timeout, Duration::from_millis(2500));
        assert_eq!(settings.compression, Compression::Gzip);
        assert_eq!(settings.tls.ca, Some("ca.pem".into()));
        assert_eq!(settings.tls.client_key, Some("k.pem".into()));
    }
}
