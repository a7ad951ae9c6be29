//! Receivers others would run: a strict OTLP/gRPC server from the generated code, and an HTTP one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Response as HttpResponse, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

// tls/ holds an authority whose key was thrown away and two certificates of it, valid from 2020 to 2120: `openssl ca` with
// subjectAltName localhost and 127.0.0.1, extendedKeyUsage serverAuth and clientAuth.

pub const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export_support/tls/ca.pem");
pub const CLIENT_CERTIFICATE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export_support/tls/client.pem");
pub const CLIENT_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export_support/tls/client.key");

/// What a server got, one for each call.
pub struct Seen {
    pub headers: HeaderMap,
    /// Names of the spans, for gRPC.
    pub names: Vec<String>,
    /// The body as it came and the path, for HTTP.
    pub body: Body,
    pub path: String,
}

/// A server that lives as long as this.
pub struct Running {
    pub address: SocketAddr,
    pub seen: Receiver<Seen>,
    runtime: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The gRPC service: answers from the script, then with success.
struct Grpc {
    script: Mutex<VecDeque<Result<ExportTraceServiceResponse, Status>>>,
    seen: Mutex<Sender<Seen>>,
}

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        for span in message.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans) {
            if span.trace_id.len() != 16 || span.span_id.len() != 8 {
                return Err(Status::invalid_argument("ids have the wrong length"));
            }
        }
        let seen = Seen {
            headers: metadata.into_headers(),
            names: super::names_in(&message),
            body: Body::new(),
            path: String::new(),
        };
        drop(self.seen.lock().unwrap().send(seen));
        let answer = self.script.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| Ok(ExportTraceServiceResponse::default())).map(Response::new)
    }
}

pub fn partial(rejected_spans: i64, error_message: &str) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: error_message.into() };
    ExportTraceServiceResponse { partial_success: Some(partial) }
}

/// What is special about a gRPC server.
#[derive(Default)]
pub struct GrpcOptions {
    pub script: Vec<Result<ExportTraceServiceResponse, Status>>,
    /// TLS, with client certificates asked for.
    pub mutual_tls: bool,
    /// Connections that are accepted and closed before the server begins.
    pub broken_connections: usize,
}

pub fn grpc(options: GrpcOptions) -> Running {
    let (seen, received) = mpsc::channel();
    let service = Grpc { script: Mutex::new(options.script.into()), seen: Mutex::new(seen) };
    let service = TraceServiceServer::new(service)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    let (runtime, listener, address) = listen();
    let mut builder = Server::builder();
    if options.mutual_tls {
        builder = builder.tls_config(server_tls()).unwrap();
    }
    runtime.spawn(async move {
        for _ in 0..options.broken_connections {
            drop(listener.accept().await.unwrap());
        }
        builder.add_service(service).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    Running { address, seen: received, runtime: Some(runtime) }
}

/// One answer of the HTTP server: status, headers, body.
pub type HttpAnswer = (u16, Vec<(&'static str, &'static str)>, Vec<u8>);

pub fn http(script: Vec<HttpAnswer>) -> Running {
    let (router, received) = router(script);
    let (runtime, listener, address) = listen();
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Running { address, seen: received, runtime: Some(runtime) }
}

/// The same over TLS and HTTP/2, with client certificates asked for.
pub fn https(script: Vec<HttpAnswer>) -> Running {
    let (router, received) = router(script);
    let (runtime, listener, address) = listen();
    let mut builder = Server::builder().tls_config(server_tls()).unwrap();
    runtime.spawn(async move {
        let routes = tonic::service::Routes::from(router);
        builder.add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
    });
    Running { address, seen: received, runtime: Some(runtime) }
}

fn router(script: Vec<HttpAnswer>) -> (Router, Receiver<Seen>) {
    let (seen, received) = mpsc::channel();
    let shared = std::sync::Arc::new((Mutex::new(VecDeque::from(script)), Mutex::new(seen)));
    let handler = move |uri: Uri, headers: HeaderMap, body: Body| {
        let shared = std::sync::Arc::clone(&shared);
        async move {
            let seen = Seen { headers, names: Vec::new(), body, path: uri.path().to_owned() };
            drop(shared.1.lock().unwrap().send(seen));
            let answer = shared.0.lock().unwrap().pop_front().unwrap_or((200, Vec::new(), Vec::new()));
            let mut response = HttpResponse::builder().status(answer.0);
            for (name, value) in answer.1 {
                response = response.header(name, value);
            }
            response.body(axum::body::Body::from(answer.2)).unwrap()
        }
    };
    (Router::new().fallback(handler).layer(DefaultBodyLimit::disable()), received)
}

fn listen() -> (Runtime, TcpListener, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    (runtime, listener, address)
}

fn server_tls() -> ServerTlsConfig {
    let ca = include_str!("tls/ca.pem");
    let identity = Identity::from_pem(include_str!("tls/server.pem"), include_str!("tls/server.key"));
    ServerTlsConfig::new().identity(identity).client_ca_root(Certificate::from_pem(ca))
}
