//! OTLP/gRPC through `tonic`'s client. The message of a request, encoded and compressed already, takes the place of the
//! body tonic would make: its codec would copy it, and compress it with settings of its own on the exporter's thread.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as TonicEndpoint, Identity};
use tonic::{Code, Request, Status};

use super::gather::Gather;
use super::response;
use super::settings::{Compression, ExportSettings, SettingError};
use super::tls::{self, TlsMaterial};
use super::transport::{Answer, Batch, Sending, Transport, chain};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const TOO_LARGE: &str = "message length too large";
/// TCP keepalive, so that a collector that vanished is noticed between batches.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Octets that leave in one call at most: sixteen frames of HTTP/2 with their headers, of the size every receiver takes.
const ROOM: usize = 16 * (9 + 16_384);

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Clear,
    Tls,
}

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// A gRPC destination. Connects with the first batch and again after a loss; clones share the connection.
#[derive(Clone)]
pub(super) struct GrpcTransport {
    client: Grpc<WithMessage>,
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
            .connect_timeout(settings.timeout);
        if security == Security::Tls {
            tls::install_provider();
            endpoint = endpoint.tls_config(tls_config(tls::load(&settings.tls)?)).map_err(wrong)?;
        }
        let encoding = match settings.compression {
            Compression::None => None,
            Compression::Gzip => Some(HeaderValue::from_static("gzip")),
            Compression::Zstd => Some(HeaderValue::from_static("zstd")),
        };
        let channel = endpoint.connect_with_connector_lazy(Connector::new(settings.timeout));
        let client = Grpc::new(WithMessage { channel, encoding })
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        Ok(GrpcTransport { client, headers: settings.headers.clone(), timeout: settings.timeout })
    }

    async fn attempt(&mut self, body: Bytes) -> Result<Bytes, Status> {
        self.client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        let mut request = Request::new(());
        request.extensions_mut().insert(Message(body));
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        request.set_timeout(self.timeout);
        let response = self.client.unary(request, PathAndQuery::from_static(EXPORT), AnswerCodec).await?;
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

    fn another(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(self.clone()))
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

/// The message of a request, on its way through tonic's client.
#[derive(Clone)]
struct Message(Bytes);

/// The connection, with requests given their [`Message`] as body.
#[derive(Clone)]
struct WithMessage {
    channel: Channel,
    /// Value of `grpc-encoding`; `None` where messages are not compressed.
    encoding: Option<HeaderValue>,
}

impl Service<http::Request<tonic::body::Body>> for WithMessage {
    type Response = <Channel as Service<http::Request<tonic::body::Body>>>::Response;
    type Error = <Channel as Service<http::Request<tonic::body::Body>>>::Error;
    type Future = <Channel as Service<http::Request<tonic::body::Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.channel, context)
    }

    fn call(&mut self, mut request: http::Request<tonic::body::Body>) -> Self::Future {
        if let Some(Message(message)) = request.extensions_mut().remove() {
            if let Some(encoding) = &self.encoding {
                request.headers_mut().insert(GRPC_ENCODING, encoding.clone());
            }
            *request.body_mut() = tonic::body::Body::new(OneMessage::new(message, self.encoding.is_some()));
        }
        self.channel.call(request)
    }
}

/// Connects over TCP, with frames put together. TLS, where there is any, comes on top.
struct Connector(HttpConnector);

impl Connector {
    fn new(timeout: Duration) -> Connector {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_connect_timeout(Some(timeout));
        Connector(connector)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Gather<TcpStream>>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.0, context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = Service::call(&mut self.0, uri);
        Box::pin(async move { Ok(TokioIo::new(Gather::new(connecting.await?.into_inner(), ROOM))) })
    }
}

/// A body of one gRPC message, `Length-Prefixed-Message` of "gRPC over HTTP2".
struct OneMessage {
    prefix: Option<Bytes>,
    message: Option<Bytes>,
}

impl OneMessage {
    fn new(message: Bytes, is_compressed: bool) -> OneMessage {
        // Four octets of length: a batch that long is refused by every server before its end is read.
        let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let [a, b, c, d] = len.to_be_bytes();
        let prefix = Bytes::copy_from_slice(&[u8::from(is_compressed), a, b, c, d]);
        OneMessage { prefix: Some(prefix), message: Some(message).filter(|message| !message.is_empty()) }
    }
}

impl Body for OneMessage {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.prefix.take().or_else(|| self.message.take());
        Poll::Ready(next.map(|octets| Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.message.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = [&self.prefix, &self.message].into_iter().flatten();
        SizeHint::with_exact(left.map(|octets| octets.len() as u64).sum())
    }
}

/// Writes nothing, as [`WithMessage`] has what is to be written, and reads answers as they are.
#[derive(Clone, Copy, Debug)]
struct AnswerCodec;

impl Codec for AnswerCodec {
    type Encode = ();
    type Decode = Bytes;
    type Encoder = AnswerCodec;
    type Decoder = AnswerCodec;

    fn encoder(&mut self) -> AnswerCodec {
        AnswerCodec
    }

    fn decoder(&mut self) -> AnswerCodec {
        AnswerCodec
    }
}

impl Encoder for AnswerCodec {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for AnswerCodec {
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
