//! IP packets in every tunnel that is entered, built by hand.

#![allow(dead_code, reason = "every test file uses a part of it")]

use flowtable::TunnelKind;

/// One way to put an IP packet into another.
pub(crate) struct Wrap {
    pub(crate) name: &'static str,
    pub(crate) kind: TunnelKind,
    /// What the tunnel's header says its id is.
    pub(crate) id: Option<u32>,
    /// Protocol number and payload of the outer packet around the inner one.
    build: fn(&[u8]) -> (u8, Vec<u8>),
}

/// The two ends of an outer packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Whether they are IPv6 addresses, 2001:db8:: and these 32 bits.
    pub(crate) v6: bool,
}

impl Ends {
    pub(crate) fn turned(self) -> Ends {
        Ends { from: self.to, to: self.from, ..self }
    }

    /// An IP packet from one end to the other.
    pub(crate) fn packet(self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        if self.v6 {
            let length = length(payload.len());
            let address = |host: u32| (0x2001_0db8_u128 << 96 | u128::from(host)).to_be_bytes();
            let header = [0x60, 0, 0, 0, length[0], length[1], protocol, 60];
            return [&header[..], &address(self.from), &address(self.to), payload].concat();
        }
        let total = length(20 + payload.len());
        let header = [0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 60, protocol, 0, 0];
        [&header[..], &self.from.to_be_bytes(), &self.to.to_be_bytes(), payload].concat()
    }
}

impl Ends {
    /// One part of a packet with the id 7, which begins at `offset`, a multiple of 8.
    pub(crate) fn fragment(self, protocol: u8, offset: u16, more: bool, part: &[u8]) -> Vec<u8> {
        let [o0, o1] = (if self.v6 { offset | u16::from(more) } else { offset >> 3 | u16::from(more) << 13 })
            .to_be_bytes();
        if self.v6 {
            return self.packet(44, &[&[protocol, 0, o0, o1, 0, 1, 0, 7], part].concat());
        }
        let mut packet = self.packet(protocol, part);
        (packet[5], packet[6], packet[7]) = (7, o0, o1);
        packet
    }
}

impl Wrap {
    /// The IP packet `inner` in a tunnel between `ends`.
    pub(crate) fn around(&self, ends: Ends, inner: &[u8]) -> Vec<u8> {
        let (protocol, payload) = (self.build)(inner);
        ends.packet(protocol, &payload)
    }
}

/// Every tunnel, in every form of its header.
pub(crate) const WRAPS: [Wrap; 21] = [
    wrap("IP in IP", TunnelKind::Ipip, None, |inner| (ip_number(inner), inner.to_vec())),
    wrap("GRE", TunnelKind::Gre, None, |inner| gre(0, ethertype(inner), &[], inner)),
    wrap("GRE with all fields", TunnelKind::Gre, None, |inner| gre(0xb0, ethertype(inner), &[7; 12], inner)),
    wrap("GRE with a route", TunnelKind::Gre, None, |inner| {
        gre(0x40, ethertype(inner), &[0, 0, 0, 0, 8, 0, 0, 4, 10, 0, 0, 1, 0, 0, 0, 0], inner)
    }),
    wrap("NVGRE", TunnelKind::Gre, Some(0x0a_0b0c), |inner| {
        gre(0x20, BRIDGED, &[0x0a, 0x0b, 0x0c, 1], &frame(inner))
    }),
    wrap("tagged in GRE", TunnelKind::Gre, None, |inner| gre(0, BRIDGED, &[], &tagged(inner))),
    wrap("MPLS in GRE", TunnelKind::Gre, None, |inner| {
        gre(0, [0x88, 0x47], &[], &[&[0, 1, 0x01, 64], inner].concat())
    }),
    wrap("PPTP", TunnelKind::Gre, None, |inner| {
        let ppp = [0xff, 3, 0, if inner[0] >> 4 == 4 { 0x21 } else { 0x57 }];
        (47, [&[0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2][..], &ppp, inner].concat())
    }),
    wrap("ERSPAN I", TunnelKind::Erspan, None, |inner| gre(0, [0x88, 0xbe], &[], &frame(inner))),
    wrap("ERSPAN II", TunnelKind::Erspan, Some(100), |inner| {
        gre(0x10, [0x88, 0xbe], &[0, 0, 0, 1, 0x10, 1, 0, 100, 0, 0, 0, 0], &frame(inner))
    }),
    wrap("ERSPAN III", TunnelKind::Erspan, Some(100), |inner| {
        let header = [0, 0, 0, 1, 0x20, 1, 0, 100, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9];
        gre(0x10, [0x22, 0xeb], &header, &frame(inner))
    }),
    wrap("VXLAN", TunnelKind::Vxlan, Some(42), |inner| {
        udp(4789, &[0x08, 0, 0, 0, 0, 0, 42, 0], &frame(inner))
    }),
    wrap("tagged in VXLAN", TunnelKind::Vxlan, Some(42), |inner| {
        udp(4789, &[0x08, 0, 0, 0, 0, 0, 42, 0], &tagged(inner))
    }),
    wrap("VXLAN-GPE", TunnelKind::Vxlan, Some(42), |inner| {
        udp(4789, &[0x0c, 0, 0, next_protocol(inner), 0, 0, 42, 0], inner)
    }),
    wrap("NSH in VXLAN-GPE", TunnelKind::Vxlan, Some(42), |inner| {
        let nsh = [0x0f, 0xc2, 1, next_protocol(inner), 0, 0, 1, 255];
        udp(4789, &[&[0x0c, 0, 0, 4, 0, 0, 42, 0], &nsh[..]].concat(), inner)
    }),
    wrap("Geneve with options", TunnelKind::Geneve, Some(43), |inner| {
        udp(6081, &[0x02, 0, 0x65, 0x58, 0, 0, 43, 0, 1, 2, 3, 1, 7, 7, 7, 7], &frame(inner))
    }),
    wrap("IP in Geneve", TunnelKind::Geneve, Some(43), |inner| {
        let [t0, t1] = ethertype(inner);
        udp(6081, &[0, 0, t0, t1, 0, 0, 43, 0], inner)
    }),
    wrap("GTP-U", TunnelKind::Gtp, Some(0x0102_0304), |inner| {
        let length = length(inner.len());
        udp(2152, &[0x30, 255, length[0], length[1], 1, 2, 3, 4], inner)
    }),
    wrap("GTP-U with extensions", TunnelKind::Gtp, Some(0x0102_0304), |inner| {
        let length = length(8 + inner.len());
        let header = [0x34, 255, length[0], length[1], 1, 2, 3, 4, 0, 0, 0, 0x85, 1, 0, 9, 0];
        udp(2152, &header, inner)
    }),
    wrap("AH", TunnelKind::Ah, None, |inner| {
        (51, [&[ip_number(inner), 2, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 7, 7, 7, 7][..], inner].concat())
    }),
    wrap("AH around GRE", TunnelKind::Ah, None, |inner| {
        let (_, gre) = gre(0, ethertype(inner), &[], inner);
        (51, [&[47, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1][..], &gre].concat())
    }),
];

const BRIDGED: [u8; 2] = [0x65, 0x58];

const fn wrap(
    name: &'static str,
    kind: TunnelKind,
    id: Option<u32>,
    build: fn(&[u8]) -> (u8, Vec<u8>),
) -> Wrap {
    Wrap { name, kind, id, build }
}

/// An untagged Ethernet frame.
pub(crate) fn frame(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype(packet), packet].concat()
}

/// An Ethernet frame of VLAN 99.
fn tagged(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 99][..], &ethertype(packet), packet].concat()
}

fn gre(flags: u8, payload_type: [u8; 2], fields: &[u8], payload: &[u8]) -> (u8, Vec<u8>) {
    (47, [&[flags, 0], &payload_type[..], fields, payload].concat())
}

fn udp(port: u16, header: &[u8], payload: &[u8]) -> (u8, Vec<u8>) {
    let ports = [50_000_u16.to_be_bytes(), port.to_be_bytes()].concat();
    (17, [&ports[..], &length(8 + header.len() + payload.len()), &[0, 0], header, payload].concat())
}

fn ethertype(packet: &[u8]) -> [u8; 2] {
    if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] }
}

fn ip_number(packet: &[u8]) -> u8 {
    if packet[0] >> 4 == 4 { 4 } else { 41 }
}

fn next_protocol(packet: &[u8]) -> u8 {
    if packet[0] >> 4 == 4 { 1 } else { 2 }
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes()
}
