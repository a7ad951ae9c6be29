//! Transport headers put together octet by octet. Their checksums are left at 0: nothing looks at them.

/// Flags of a TCP header.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
    pub(crate) const ECE: u8 = 0x40;
    pub(crate) const CWR: u8 = 0x80;
}

/// Octets of a TCP header with the timestamps that each has here.
pub(crate) const TCP_LEN: u64 = 32;

/// A segment; its payload is `payload` octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) payload: usize,
    pub(crate) window: u16,
}

impl Segment {
    pub(crate) fn octets(&self, source: u16, destination: u16) -> Vec<u8> {
        let mut octets = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        octets.extend(self.sequence.to_be_bytes());
        octets.extend(self.acknowledgment.to_be_bytes());
        octets.extend([0x80, self.flags]);
        octets.extend(self.window.to_be_bytes());
        octets.extend([0; 4]);
        octets.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        octets.resize(octets.len() + self.payload, b'x');
        octets
    }
}

pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("it is short");
    let header = [source, destination, length, 0].map(u16::to_be_bytes).concat();
    [&header, payload].concat()
}

/// A message of ICMP or ICMPv6; `rest` are the four octets behind the checksum and what follows.
pub(crate) fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0], rest].concat()
}

/// An echo request or reply with `octets` of data.
pub(crate) fn echo(kind: u8, octets: usize) -> Vec<u8> {
    icmp(kind, 0, &[&[0, 7, 0, 1][..], &vec![b'e'; octets]].concat())
}

/// An ICMP error about `packet`.
pub(crate) fn icmp_error(kind: u8, code: u8, packet: &[u8]) -> Vec<u8> {
    icmp(kind, code, &[&[0; 4], packet].concat())
}
