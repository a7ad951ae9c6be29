//! A client and a server on a wire, and the table behind it: segments in, records out. Times in milliseconds.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part of this")]

use flowtable::{
    Event, EventDetail, EventKind, Family, FlowRecord, Nanos, Sweeper, TableConfig, TcpRecord, Timeouts,
    Timing, Writer, table, tcp_flag,
};

use crate::packets::{MS, Tcp, config, tcp};

/// The client, whose address sorts first in half of the tests.
pub const CLIENT: (u32, u16) = (10, 40_000);
pub const SERVER: (u32, u16) = (20, 443);
pub const S: u8 = tcp_flag::SYN;
pub const A: u8 = tcp_flag::ACK;
pub const P: u8 = tcp_flag::PSH;
pub const F: u8 = tcp_flag::FIN;
pub const R: u8 = tcp_flag::RST;

pub struct Wire {
    pub writer: Writer,
    pub sweeper: Sweeper,
    pub records: Vec<FlowRecord>,
    pub client: (u32, u16),
    pub server: (u32, u16),
    pub window: u16,
    pub family: Family,
}

impl Wire {
    pub fn new() -> Wire {
        Wire::with(&TableConfig { events: EventDetail::All, ..config(16) })
    }

    pub fn with(config: &TableConfig) -> Wire {
        let (writer, sweeper) = table(config).unwrap();
        let (records, family) = (Vec::new(), Family::V4);
        Wire { writer, sweeper, records, client: CLIENT, server: SERVER, window: 1_000, family }
    }

    /// Client and server with their addresses exchanged, so that the canonical order is the other one.
    pub fn swapped() -> Wire {
        Wire { client: SERVER, server: CLIENT, ..Wire::new() }
    }

    /// The same addresses in IPv6, whose words lie elsewhere in a slot.
    pub fn in_ipv6() -> Wire {
        Wire { family: Family::V6, ..Wire::new() }
    }

    pub fn without_exchanges() -> Wire {
        Wire::with(&TableConfig { events: EventDetail::All, exchanges: false, ..config(16) })
    }

    pub fn send(&mut self, from: (u32, u16), to: (u32, u16), at_ms: u64, header: Tcp) {
        let mut packet = tcp(from, to, at_ms, &header);
        packet.tcp.window = self.window;
        packet.key.family = self.family;
        assert_eq!(self.writer.update_burst(&[packet]).in_flows, 1);
    }

    /// Client to server: flags, sequence, acknowledgment, payload.
    pub fn up(&mut self, at_ms: u64, flags: u8, sequence: u32, acknowledgment: u32, payload: u32) {
        self.send(self.client, self.server, at_ms, Tcp { sequence, acknowledgment, payload, flags });
    }

    /// Server to client.
    pub fn down(&mut self, at_ms: u64, flags: u8, sequence: u32, acknowledgment: u32, payload: u32) {
        self.send(self.server, self.client, at_ms, Tcp { sequence, acknowledgment, payload, flags });
    }

    /// SYN at 0, SYN/ACK at 30, ACK at 40 ms; both sides begin at 100 and 500.
    pub fn handshake(&mut self) {
        self.up(0, S, 100, 0, 0);
        self.down(30, S | A, 500, 101, 0);
        self.up(40, A, 101, 501, 0);
    }

    pub fn flush(&mut self, at_ms: u64) -> FlowRecord {
        self.sweeper.flush(Nanos(at_ms * MS), &mut self.records);
        assert_eq!(self.records.len(), 1, "{:#?}", self.records);
        self.records.remove(0)
    }

    pub fn flushed(&mut self) -> (FlowRecord, TcpRecord) {
        let record = self.flush(1_000_000);
        let tcp = record.tcp.unwrap();
        (record, tcp)
    }

    pub fn sweep(&mut self, at_ms: u64) -> Vec<FlowRecord> {
        self.sweeper.sweep(Nanos(at_ms * MS), &Timeouts::default(), &mut self.records);
        self.writer.serve_retirements(100);
        std::mem::take(&mut self.records)
    }
}

pub fn first(latency_ms: u64) -> Option<Timing> {
    Some(Timing { latency_ns: latency_ms * MS, jitter_ns: None })
}

pub fn kinds(record: &FlowRecord) -> Vec<(u64, EventKind)> {
    record.events.kept.iter().map(|Event { at, kind }| (at.0 / MS, *kind)).collect()
}
