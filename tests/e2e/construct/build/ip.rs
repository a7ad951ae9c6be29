//! Ethernet frames and IP packets put together octet by octet: VLAN tags, MPLS labels, PPPoE, IPv4 and IPv6, fragments.

use std::net::IpAddr;
use std::ops::Range;

/// Where a packet comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// The last octet of its MAC address.
    pub(crate) mac: u8,
}

impl End {
    pub(crate) fn new(address: &str, port: u16, mac: u8) -> End {
        End { address: address.parse().expect("an address"), port, mac }
    }

    pub(crate) fn on_port(self, port: u16) -> End {
        End { port, ..self }
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.address.is_ipv4()
    }

    fn mac_octets(self) -> [u8; 6] {
        [2, 0, 0, 0, 0, self.mac]
    }

    pub(crate) fn mac_text(self) -> String {
        self.mac_octets().map(|octet| format!("{octet:02x}")).join(":")
    }
}

/// An Ethernet frame of what an Ethernet type says.
pub(crate) fn frame(from: End, to: End, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to.mac_octets()[..], &from.mac_octets(), &ethertype.to_be_bytes(), payload].concat()
}

/// An Ethernet frame of an IP packet.
pub(crate) fn ethernet(from: End, to: End, packet: &[u8]) -> Vec<u8> {
    frame(from, to, ethertype(packet), packet)
}

/// The Ethernet type of an IP packet, by its version.
pub(crate) fn ethertype(packet: &[u8]) -> u16 {
    if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd }
}

/// Puts a tag (0x8100, or 0x88a8 for the outer of two) behind the MAC addresses of `frame`.
pub(crate) fn tagged(frame: &[u8], tag: u16, vlan: u16) -> Vec<u8> {
    [&frame[..12], &tag.to_be_bytes(), &vlan.to_be_bytes(), &frame[12..]].concat()
}

/// Puts labels between the Ethernet header of `frame` and its packet, the first one outermost.
pub(crate) fn labelled(frame: &[u8], labels: &[u32]) -> Vec<u8> {
    let entry = |(place, label): (usize, &u32)| {
        let bottom = u32::from(place + 1 == labels.len());
        (label << 12 | bottom << 8 | 64).to_be_bytes()
    };
    let stack: Vec<u8> = labels.iter().enumerate().flat_map(entry).collect();
    [&frame[..12], &[0x88, 0x47], &stack, &frame[14..]].concat()
}

/// Puts a PPPoE session between the Ethernet header of `frame` and its packet.
pub(crate) fn in_session(frame: &[u8], session: u16) -> Vec<u8> {
    let packet = &frame[14..];
    let protocol: u16 = if packet[0] >> 4 == 4 { 0x0021 } else { 0x0057 };
    let length = u16::try_from(packet.len() + 2).expect("it is short");
    let header = [&[0x11, 0][..], &session.to_be_bytes(), &length.to_be_bytes(), &protocol.to_be_bytes()];
    [&frame[..12], &[0x88, 0x64], &header.concat(), packet].concat()
}

/// An IP header, of the version of its addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    /// DSCP and ECN.
    pub(crate) class: u8,
    /// IPv6 only.
    pub(crate) label: u32,
    /// Of a datagram that is sent in parts.
    pub(crate) id: u32,
    /// Whether it has options: four octets of them in IPv4, a hop-by-hop header of eight in IPv6.
    pub(crate) options: bool,
}

/// Where a part lies in its datagram.
#[derive(Clone, Copy)]
struct Part {
    offset: usize,
    more: bool,
}

impl Ip {
    pub(crate) fn new(from: End, to: End, protocol: u8) -> Ip {
        let (source, destination) = (from.address, to.address);
        Ip { source, destination, protocol, ttl: 64, class: 0, label: 0, id: 0, options: false }
    }

    /// The whole packet around `payload`.
    pub(crate) fn packet(&self, payload: &[u8]) -> Vec<u8> {
        self.around(payload, None)
    }

    /// The octets `range` of `payload` as a fragment; all but the last begin and end at a multiple of eight.
    pub(crate) fn part(&self, payload: &[u8], range: Range<usize>) -> Vec<u8> {
        let part = Part { offset: range.start, more: range.end < payload.len() };
        self.around(&payload[range], Some(part))
    }

    fn around(&self, payload: &[u8], part: Option<Part>) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.v4(source.octets(), destination.octets(), payload, part)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.v6(source.octets(), destination.octets(), payload, part)
            }
            mixed => panic!("{mixed:?}"),
        }
    }

    fn v4(&self, source: [u8; 4], destination: [u8; 4], payload: &[u8], part: Option<Part>) -> Vec<u8> {
        let options: &[u8] = if self.options { &[1, 1, 1, 0] } else { &[] };
        let words = u8::try_from(5 + options.len() / 4).expect("it is short");
        let length = u16::try_from(20 + options.len() + payload.len()).expect("it is short");
        let place = part.map_or(0x4000, |part| {
            u16::from(part.more) << 13 | u16::try_from(part.offset / 8).expect("13 bits")
        });
        let id = u16::try_from(self.id).expect("16 bits");
        let mut header = vec![0x40 | words, self.class];
        header.extend(length.to_be_bytes());
        header.extend(id.to_be_bytes());
        header.extend(place.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(source);
        header.extend(destination);
        header.extend(options);
        let sum = checksum(&header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        [&header, payload].concat()
    }

    fn v6(&self, source: [u8; 16], destination: [u8; 16], payload: &[u8], part: Option<Part>) -> Vec<u8> {
        let mut next = self.protocol;
        let mut extensions = Vec::new();
        if let Some(part) = part {
            let place = u16::try_from(part.offset).expect("16 bits") | u16::from(part.more);
            extensions = [&[next, 0][..], &place.to_be_bytes(), &self.id.to_be_bytes()].concat();
            next = 44;
        }
        if self.options {
            extensions = [&[next, 0, 1, 4, 0, 0, 0, 0][..], &extensions].concat();
            next = 0;
        }
        let length = u16::try_from(extensions.len() + payload.len()).expect("it is short");
        let first = 6 << 28 | u32::from(self.class) << 20 | self.label;
        let fixed = [&first.to_be_bytes()[..], &length.to_be_bytes(), &[next, self.ttl]].concat();
        [&fixed[..], &source, &destination, &extensions, payload].concat()
    }
}

/// The checksum of RFC 1071.
fn checksum(octets: &[u8]) -> u16 {
    let sum: u32 = octets.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("16 bits")
}
