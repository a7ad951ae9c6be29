//! A strict receiver: an OTLP/gRPC server from the generated code that refuses every span that is not as it must be.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::span::{FlowSpan, checked, distinct};
use super::{Counts, eventually, some_of};

#[derive(Default)]
struct Received {
    spans: Vec<FlowSpan>,
    refused: Vec<String>,
}

struct Service(Arc<Mutex<Received>>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut received = self.0.lock().unwrap();
        match checked(&request.into_inner()) {
            Ok(spans) => {
                received.spans.extend(spans);
                Ok(Response::new(ExportTraceServiceResponse::default()))
            }
            Err(wrong) => {
                received.refused.push(wrong.clone());
                Err(Status::invalid_argument(wrong))
            }
        }
    }
}

/// A receiver that listens as long as this lives.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Received>>,
    runtime: Option<Runtime>,
}

impl Receiver {
    pub(crate) fn start() -> Receiver {
        Receiver::start_at(Ipv4Addr::LOCALHOST)
    }

    /// On a free port of an address of this machine.
    pub(crate) fn start_at(address: Ipv4Addr) -> Receiver {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((address, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Received::default()));
        let service = TraceServiceServer::new(Service(Arc::clone(&received)))
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        let connections = TcpListenerStream::new(listener);
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(connections));
        Receiver { address, received, runtime: Some(runtime) }
    }

    /// All spans so far. Panics where one was refused, or two have the same id.
    pub(crate) fn spans(&self) -> Vec<FlowSpan> {
        let received = self.received.lock().unwrap();
        assert!(received.refused.is_empty(), "refused: {:#?}", received.refused);
        distinct(&received.spans);
        received.spans.clone()
    }

    /// Waits until what came is what was counted.
    pub(crate) fn spans_of(&self, expected: &Counts) -> Vec<FlowSpan> {
        eventually("spans", || {
            let spans = self.spans();
            let differences = expected.differences(&Counts::of_spans(&spans, expected));
            if differences.is_empty() { Ok(spans) } else { Err(some_of(&differences)) }
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
