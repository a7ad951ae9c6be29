//! OTLP/HTTP with protobuf bodies, OTLP specification "OTLP/HTTP".

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Certificate, Client, Identity, Response, redirect};

use super::response;
use super::settings::{Compression, ExportSettings, SettingError};
use super::tls;
use super::transport::{Answer, Batch, Sending, Transport, chain};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// Most of an answer that is read, in bytes.
const MAX_ANSWER_LEN: usize = 64 * 1024;
/// Most of an answer in plain text that is quoted, in characters.
const MAX_QUOTE_CHARS: usize = 200;

/// An HTTP destination. Connections are kept and made again as needed.
#[derive(Clone)]
pub(super) struct HttpTransport {
    client: Client,
    url: String,
    headers: HeaderMap,
}

impl HttpTransport {
    pub(super) fn new(url: &str, settings: &ExportSettings) -> Result<HttpTransport, SettingError> {
        let wrong = |error: reqwest::Error| SettingError::new("export", url, chain(&error));
        // The client sets TLS up even for http://.
        tls::install_provider();
        let mut builder = Client::builder()
            .user_agent(super::USER_AGENT)
            .timeout(settings.timeout)
            .redirect(redirect::Policy::none());
        if url.starts_with("https:") {
            let material = tls::load(&settings.tls)?;
            if let Some(ca) = material.ca {
                builder = builder.tls_certs_only(Certificate::from_pem_bundle(&ca).map_err(wrong)?);
            }
            if let Some((certificate, key)) = material.identity {
                let pem = [certificate, b"\n".to_vec(), key].concat();
                builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
            }
        } else {
            // No root certificates to load from the system where none are used.
            builder = builder.tls_certs_only([]);
        }
        let mut headers = settings.headers.clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        match settings.compression {
            Compression::None => None,
            Compression::Gzip => headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            Compression::Zstd => headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd")),
        };
        let client = builder.build().map_err(wrong)?;
        Ok(HttpTransport { client, url: url.to_owned(), headers })
    }

    async fn attempt(&mut self, body: Bytes) -> Answer {
        match self.client.post(&self.url).headers(self.headers.clone()).body(body).send().await {
            Ok(response) => answer(response).await,
            Err(error) if error.is_builder() => Answer::Refused(chain(&error)),
            Err(error) => Answer::retry(chain(&error)),
        }
    }
}

impl Transport for HttpTransport {
    fn send(&mut self, batch: Batch) -> Sending<'_> {
        Box::pin(self.attempt(batch.body))
    }

    fn another(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(self.clone()))
    }
}

async fn answer(response: Response) -> Answer {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(retry_after);
    let body = match read(response).await {
        Ok(body) => body,
        // The receiver took the request; only its words are lost.
        Err(_) if status.is_success() => return Answer::Delivered,
        Err(error) => chain(&error).into_bytes(),
    };
    if status.is_success() {
        return response::success(&body);
    }
    let reason = reason(status, &body);
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::Retry { after, reason },
        _ => Answer::Refused(reason),
    }
}

async fn read(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER_LEN - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER_LEN {
            break;
        }
    }
    Ok(body)
}

/// The form in seconds; for a date the probe's own backoff has to do.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn reason(status: StatusCode, body: &[u8]) -> String {
    let said = response::status_message(body)
        .or_else(|| std::str::from_utf8(body).ok().map(|text| text.trim().to_owned()))
        .unwrap_or_default();
    let quote: String = said.chars().filter(|c| !c.is_control()).take(MAX_QUOTE_CHARS).collect();
    if quote.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {quote}") }
}
