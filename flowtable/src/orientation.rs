//! Which canonical direction is source to destination, and who started the conversation.
//!
//! Counters are kept by canonical direction, so orienting a flow late moves every per-direction value with it.

use crate::key::{Direction, protocol};
use crate::packet::{Packet, Role};
use crate::slot::{Hot, Meta};
use crate::sync::Ordering;

/// Ports below this are services by convention (RFC 6335 §6, system ports).
const SYSTEM_PORTS: u16 = 1024;
/// Ports from here on are taken for a client's; the lower one of a pair that straddles this is the service.
const CLIENT_PORTS: u16 = 32_768;

/// Orients a flow by its first packet.
pub(crate) fn at_open(meta: &mut Meta, packet: &Packet, service_ports: &[u16]) {
    let forward = match packet.role {
        Role::Destination => packet.direction.flipped(),
        Role::Source | Role::Unknown => packet.direction,
    };
    meta.put(Meta::FORWARD_HI, forward == Direction::HiToLo);
    if packet.role == Role::Unknown {
        let source = packet.key.sender(forward).port;
        let destination = packet.key.sender(forward.flipped()).port;
        let by_ports = destination_initiated(packet.key.protocol, source, destination, service_ports);
        meta.put(Meta::DESTINATION_INITIATED, by_ports);
    } else {
        meta.set(Meta::EVIDENCE);
    }
}

/// Orients a flow anew when definitive evidence comes after its first packet.
#[inline]
pub(crate) fn on_evidence(hot: &Hot, packet: &Packet) {
    let mut meta = Meta(hot.meta.load(Ordering::Relaxed));
    if packet.role == Role::Unknown || meta.has(Meta::EVIDENCE) {
        return;
    }
    let forward = if packet.role == Role::Source { packet.direction } else { packet.direction.flipped() };
    meta.put(Meta::FORWARD_HI, forward == Direction::HiToLo);
    meta.put(Meta::DESTINATION_INITIATED, false);
    meta.set(Meta::EVIDENCE);
    hot.meta.store(meta.0, Ordering::Relaxed);
}

/// By ports alone: whether the source's port is the service's, so that the destination must have begun.
fn destination_initiated(protocol: u8, source: u16, destination: u16, service_ports: &[u16]) -> bool {
    if !matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP) {
        return false;
    }
    let is_service = |port: u16| port < SYSTEM_PORTS || service_ports.contains(&port);
    match (is_service(source), is_service(destination)) {
        (true, false) => true,
        (false, true) => false,
        _ => source < CLIENT_PORTS && destination >= CLIENT_PORTS,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_service_port_is_the_responder() {
        let initiated = |s, d| destination_initiated(protocol::UDP, s, d, &[5_060]);
        assert!(initiated(53, 40_000), "exactly one side below 1024");
        assert!(!initiated(40_000, 53));
        assert!(initiated(5_060, 5_070), "a configured service port");
        assert!(initiated(8_080, 50_000), "the lower of a pair that straddles 32768");
        assert!(!initiated(123, 53), "both below 1024: the source");
        assert!(!initiated(40_000, 50_000), "both high: the source");
        assert!(!destination_initiated(47, 0, 40_000, &[]), "no ports, no guess");
    }
}
