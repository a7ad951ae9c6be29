//! From flow records to their destinations: bounded queues, batches, OTLP over gRPC and HTTP, files, standard output.
//!
//! The sweep threads offer chunks of records through an [`ExportHandle`]; one exporter thread batches, encodes and sends
//! them, a task for each destination, with threads to encode on where the settings ask for several. A destination that is slow, full or gone holds back neither the others nor the
//! sweep, and its ledger says where every record is. Nothing here looks inside a record: encoding is a [`BatchEncoder`].

mod destination;
mod environment;
mod exporter;
mod gather;
mod grpc;
mod health;
mod http;
mod ledger;
mod line;
mod order;
mod press;
mod queue;
mod response;
mod retry;
mod settings;
mod tls;
mod transport;
mod writer;

use bytes::Bytes;
use flowtable::FlowRecord;

pub use destination::probe;
pub use environment::Environment;
pub use exporter::{ExportHandle, Exporter, StartError};
pub use ledger::{DestinationLedger, DropCause, Drops, FinalLedger, LastError};
pub use retry::{GiveUp, Retry};
pub use settings::{
    Compression, Endpoint, ExportSettings, FileFormat, Format, SettingError, TlsFiles, header,
};
pub use transport::{Answer, Batch, Preparing, Sending, Transport};

const USER_AGENT: &str = concat!("tapspan/", env!("CARGO_PKG_VERSION"));

/// Turns records into the bytes of one request. Each destination has its own, made for its [`Format`].
pub trait BatchEncoder: Send {
    /// Encodes all of `records`, one span each, in their order.
    fn encode(&mut self, records: &[FlowRecord]) -> Bytes;

    /// The same for records that do not lie together: those of each part in turn. Copies them together, unless the encoder
    /// knows better.
    fn encode_parts(&mut self, parts: &[&[FlowRecord]]) -> Bytes {
        match parts {
            [records] => self.encode(records),
            _ => self.encode(&parts.concat()),
        }
    }
}
