//! Packets made by hand for the tests of the table. Addresses are single numbers, times are milliseconds.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its own part of this")]

use flowtable::{
    Endpoint, Family, FirstPacket, FlowKey, Nanos, Packet, PortId, Role, TableConfig, TcpSegment, protocol,
    tcp_flag,
};

pub const MS: u64 = 1_000_000;

pub fn config(capacity: u32) -> TableConfig {
    TableConfig { capacity, seed: 7, details: 64, ..TableConfig::default() }
}

pub fn packet(protocol: u8, from: (u32, u16), to: (u32, u16), at_ms: u64) -> Packet {
    let end = |(address, port): (u32, u16)| Endpoint { address: u128::from(address), port };
    let (key, direction) = FlowKey::canonical(Family::V4, protocol, end(from), end(to));
    Packet {
        key,
        direction,
        at: Nanos(at_ms * MS),
        bytes: 100,
        role: Role::Unknown,
        tcp: TcpSegment::default(),
        first: FirstPacket { port: PortId(3), ttl: 64, ..FirstPacket::default() },
        tunnel: 0,
    }
}

pub fn udp(from: (u32, u16), to: (u32, u16), at_ms: u64) -> Packet {
    packet(protocol::UDP, from, to, at_ms)
}

#[derive(Clone, Copy)]
pub struct Tcp {
    pub sequence: u32,
    pub acknowledgment: u32,
    pub payload: u32,
    pub flags: u8,
}

pub fn tcp(from: (u32, u16), to: (u32, u16), at_ms: u64, header: &Tcp) -> Packet {
    let mut packet = packet(protocol::TCP, from, to, at_ms);
    packet.tcp = TcpSegment {
        sequence: header.sequence,
        acknowledgment: header.acknowledgment,
        window: 1_000,
        flags: header.flags,
        payload: header.payload,
    };
    packet.role = match header.flags & (tcp_flag::SYN | tcp_flag::ACK) {
        tcp_flag::SYN => Role::Source,
        both if both == tcp_flag::SYN | tcp_flag::ACK => Role::Destination,
        _ => Role::Unknown,
    };
    packet
}
