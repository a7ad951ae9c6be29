//! OTLP/gRPC: encoded requests go through `tonic` as they are, with a codec that copies bytes.

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::HeaderMap;
use http::uri::PathAndQuery;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as TonicEndpoint, Identity};
use tonic::{Code, Request, Status};

use super::response;
use super::settings::{Compression, ExportSettings, SettingError};
use super::tls::{self, TlsMaterial};
use super::transport::{Answer, Batch, Sending, Transport, chain};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const TOO_LARGE: &str = "message length too large";
/// TCP keepalive, so that a collector that vanished is noticed between batches.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Clear,
    Tls,
}

/// A gRPC destination. Connects with the first batch and again after a loss.
pub(super) struct GrpcTransport {
    client: Grpc<Channel>,
    headers: HeaderMap,
    timeout: Duration,
}

impl GrpcTransport {
    /// Must be called within a tokio runtime, which then drives the connection.
    pub(super) fn new(
        authority: &str,
        security: Security,
        settings: &ExportSettings,
    ) -> Result<GrpcTransport, SettingError> {
        let wrong = |error: tonic::transport::Error| {
            SettingError::new("export", settings.endpoint.to_string(), chain(&error))
        };
        let scheme = if security == Security::Tls { "https" } else { "http" };
        let mut endpoint = TonicEndpoint::from_shared(format!("{scheme}://{authority}"))
            .and_then(|endpoint| endpoint.user_agent(super::USER_AGENT))
            .map_err(wrong)?
            .connect_timeout(settings.timeout)
            .tcp_keepalive(Some(KEEPALIVE));
        if security == Security::Tls {
            tls::install_provider();
            endpoint = endpoint.tls_config(tls_config(tls::load(&settings.tls)?)).map_err(wrong)?;
        }
        let mut client = Grpc::new(endpoint.connect_lazy())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        match settings.compression {
            Compression::None => {}
            Compression::Gzip => client = client.send_compressed(CompressionEncoding::Gzip),
            Compression::Zstd => client = client.send_compressed(CompressionEncoding::Zstd),
        }
        Ok(GrpcTransport { client, headers: settings.headers.clone(), timeout: settings.timeout })
    }

    async fn attempt(&mut self, body: Bytes) -> Result<Bytes, Status> {
        self.client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        let mut request = Request::new(body);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        request.set_timeout(self.timeout);
        let response = self.client.unary(request, PathAndQuery::from_static(EXPORT), BytesCodec).await?;
        Ok(response.into_inner())
    }
}

impl Transport for GrpcTransport {
    fn send(&mut self, batch: Batch) -> Sending<'_> {
        Box::pin(async move {
            let timeout = self.timeout;
            let began = Instant::now();
            match tokio::time::timeout(timeout, self.attempt(batch.body)).await {
                Ok(Ok(body)) => response::success(&body),
                // The client cancels by the request's grpc-timeout too, and may be first.
                Ok(Err(status)) if status.code() != Code::Cancelled || began.elapsed() < timeout => {
                    failure(&status)
                }
                _ => Answer::retry(format!("no answer within {} ms", timeout.as_millis())),
            }
        })
    }
}

fn tls_config(material: TlsMaterial) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new();
    config = match material.ca {
        Some(ca) => config.ca_certificate(Certificate::from_pem(ca)),
        None => config.with_native_roots(),
    };
    match material.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        None => config,
    }
}

/// The retryable codes of the OTLP specification, "OTLP/gRPC Throttling".
fn failure(status: &Status) -> Answer {
    let asked = response::retry_delay(status.details());
    let retryable = match status.code() {
        // How tonic's servers refuse a request larger than they take; it does not get smaller.
        Code::OutOfRange if status.message().contains(TOO_LARGE) => false,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => asked.is_some(),
        // A status with a cause was made on this side, from a connection that broke.
        Code::Unknown | Code::Internal => status.source().is_some(),
        _ => false,
    };
    let reason = reason(status);
    if retryable { Answer::Retry { after: asked, reason } } else { Answer::Refused(reason) }
}

fn reason(status: &Status) -> String {
    let mut text = format!("{:?}", status.code());
    if !status.message().is_empty() {
        text = format!("{text}: {}", status.message());
    }
    match status.source() {
        Some(source) => format!("{text}: {}", chain(source)),
        None => text,
    }
}

/// Passes encoded messages through.
#[derive(Clone, Copy, Debug)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = BytesCodec;
    type Decoder = BytesCodec;

    fn encoder(&mut self) -> BytesCodec {
        BytesCodec
    }

    fn decoder(&mut self) -> BytesCodec {
        BytesCodec
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.reserve(item.len());
        dst.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_retried_as_the_otlp_specification_says() {
        let retried = |code| matches!(failure(&Status::new(code, "")), Answer::Retry { .. });
        for code in (0..=16).map(Code::from_i32).filter(|code| *code != Code::Ok) {
            let expected = matches!(
                code,
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
            );
            assert_eq!(retried(code), expected, "{code:?}");
        }
    }
}
