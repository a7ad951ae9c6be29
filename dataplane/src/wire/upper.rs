//! The header behind IP in the terms of a flow: ports, or what stands for them.

use super::{Anomaly, Ip, Payload, icmp, icmpv6, sctp, tcp, udp};
use flowtable::{Role, TcpSegment, protocol};

/// What the header behind IP says.
#[derive(Clone, Copy, Default)]
pub(super) struct Upper<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub one_way: bool,
    pub role: Role,
    pub tcp: TcpSegment,
    pub icmp: Option<(u8, u8)>,
    /// Where another packet may be: behind a UDP or ICMP header, or all of what is neither of these nor TCP or SCTP.
    pub rest: Payload<'a>,
    pub anomaly: Option<Anomaly>,
}

impl<'a> Upper<'a> {
    /// Reads the header at the start of `payload`, which `ip` is in front of.
    #[inline(always)]
    pub(super) fn parse(ip: &Ip, payload: Payload<'a>) -> Upper<'a> {
        if ip.is_later_fragment() {
            return Upper::default();
        }
        match ip.protocol {
            protocol::TCP => match tcp::parse(payload.bytes, payload.octets) {
                Ok((tcp, _)) => Upper {
                    source_port: tcp.source_port,
                    destination_port: tcp.destination_port,
                    role: Role::of_tcp(tcp.segment.flags),
                    tcp: tcp.segment,
                    ..Upper::default()
                },
                Err(anomaly) => ports_only(payload.bytes, anomaly),
            },
            protocol::UDP => match udp::parse(payload.bytes, payload.octets, ip.part.is_some()) {
                Ok((udp, bytes)) => Upper {
                    source_port: udp.source_port,
                    destination_port: udp.destination_port,
                    rest: Payload { bytes, octets: udp.payload_octets },
                    ..Upper::default()
                },
                Err(anomaly) => ports_only(payload.bytes, anomaly),
            },
            protocol::SCTP => match sctp::parse(payload.bytes) {
                Ok((sctp, _)) => Upper {
                    source_port: sctp.source_port,
                    destination_port: sctp.destination_port,
                    ..Upper::default()
                },
                Err(anomaly) => ports_only(payload.bytes, anomaly),
            },
            protocol::ICMP | protocol::ICMPV6 => message(ip.protocol, payload),
            _ => Upper { rest: payload, ..Upper::default() },
        }
    }

    /// The same of a packet quoted in an ICMP error, which may end behind the ports; `None` where they are not there.
    pub(super) fn of_quoted(ip: &Ip, payload: Payload<'a>) -> Option<Upper<'a>> {
        let needed = match ip.protocol {
            protocol::TCP | protocol::UDP | protocol::SCTP | protocol::ICMP | protocol::ICMPV6 => 4,
            _ => 0,
        };
        if ip.is_later_fragment() || payload.bytes.len() < needed {
            return None;
        }
        match ip.protocol {
            protocol::ICMP | protocol::ICMPV6 => Some(message(ip.protocol, payload)),
            _ if needed != 0 => Some(ports(payload.bytes)),
            _ => Some(Upper::default()),
        }
    }
}

/// The ports of a transport header that cannot be read in full.
#[cold]
fn ports_only(payload: &[u8], anomaly: Anomaly) -> Upper<'_> {
    Upper { anomaly: Some(anomaly), ..ports(payload) }
}

/// The ports of every transport protocol are in its first four octets; 0 where those are not there.
fn ports(payload: &[u8]) -> Upper<'_> {
    let &[s0, s1, d0, d1] = payload.first_chunk().unwrap_or(&[0; 4]);
    Upper {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        ..Upper::default()
    }
}

/// An ICMP message in the place of ports, as Community ID v1 has it: type and counterpart, or type and code where the
/// type has no counterpart and the two directions are flows of their own.
fn message(protocol: u8, payload: Payload<'_>) -> Upper<'_> {
    let read = if protocol == protocol::ICMP {
        icmp::parse(payload.bytes).map(|(header, rest)| {
            (header.kind, header.code, icmp::counterpart(header.kind), icmp::role(header.kind), rest)
        })
    } else {
        icmpv6::parse(payload.bytes).map(|(header, rest)| {
            (header.kind, header.code, icmpv6::counterpart(header.kind), icmpv6::role(header.kind), rest)
        })
    };
    match read {
        Ok((kind, code, counterpart, role, rest)) => Upper {
            source_port: u16::from(kind),
            destination_port: u16::from(counterpart.unwrap_or(code)),
            one_way: counterpart.is_none(),
            role,
            icmp: Some((kind, code)),
            rest: payload.behind(rest),
            ..Upper::default()
        },
        Err(anomaly) => Upper { anomaly: Some(anomaly), ..Upper::default() },
    }
}
