//! What the tests stand on: the program, captures and their counts, virtual wires, receivers.

mod capture;
mod counts;
mod endpoint;
mod log;
mod network;
mod patience;
mod pcap;
mod program;
mod receiver;
mod rotel;
mod span;

pub(crate) use capture::{Capture, captures, own_captures, repository, shared};
pub(crate) use counts::{Counts, spans_against_tshark};
pub(crate) use endpoint::Endpoint;
pub(crate) use network::{Veth, is_root, left_out, sent_by_tcpreplay};
pub(crate) use patience::{Patience, eventually, some_of};
pub(crate) use pcap::{Pcap, by_direction};
pub(crate) use program::{Finished, Tapspan, ends, folder, replay, tapspan};
pub(crate) use receiver::Receiver;
pub(crate) use rotel::Rotel;
pub(crate) use span::{FlowSpan, json_requests, protobuf_requests, read_file};
