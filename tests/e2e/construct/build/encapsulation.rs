//! Headers of tunnels put together octet by octet: each function gives what goes into the outer IP or UDP packet.

use super::ethertype;

/// RFC 7348, around an Ethernet frame.
pub(crate) fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes(), frame].concat()
}

/// RFC 8926 with eight octets of options, around an Ethernet frame.
pub(crate) fn geneve(vni: u32, frame: &[u8]) -> Vec<u8> {
    let options = [1, 2, 0x80, 1, 9, 9, 9, 9];
    [&[2, 0, 0x65, 0x58][..], &(vni << 8).to_be_bytes(), &options, frame].concat()
}

/// TS 29.281 with a sequence number, around an IP packet.
pub(crate) fn gtp(teid: u32, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len() + 4).expect("it is short");
    [&[0x32, 255][..], &length.to_be_bytes(), &teid.to_be_bytes(), &[0, 7, 0, 0], packet].concat()
}

/// RFC 2784 without any option, around an IP packet.
pub(crate) fn gre(packet: &[u8]) -> Vec<u8> {
    [&[0, 0][..], &ethertype(packet).to_be_bytes(), packet].concat()
}

/// RFC 2890 with checksum, key and sequence number, around an IP packet.
pub(crate) fn gre_with_key(key: u32, packet: &[u8]) -> Vec<u8> {
    let header =
        [&[0xb0, 0][..], &ethertype(packet).to_be_bytes(), &[0; 4], &key.to_be_bytes(), &[0, 0, 0, 1]];
    [&header.concat(), packet].concat()
}

/// RFC 7637: a virtual subnet of 24 bits and a flow of 8 in the key, around an Ethernet frame.
pub(crate) fn nvgre(subnet: u32, flow: u32, frame: &[u8]) -> Vec<u8> {
    [&[0x20, 0, 0x65, 0x58][..], &(subnet << 8 | flow).to_be_bytes(), frame].concat()
}

/// ERSPAN type I: no header of its own, around an Ethernet frame.
pub(crate) fn erspan_i(frame: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x88, 0xbe], frame].concat()
}

/// ERSPAN type II, around an Ethernet frame.
pub(crate) fn erspan_ii(session: u16, frame: &[u8]) -> Vec<u8> {
    let header = [0x10, 7, 0x40 | session.to_be_bytes()[0], session.to_be_bytes()[1], 0, 0, 0, 0];
    [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &header, frame].concat()
}

/// ERSPAN type III with the platform's part, around an Ethernet frame.
pub(crate) fn erspan_iii(session: u16, frame: &[u8]) -> Vec<u8> {
    let header = [0x20, 7, session.to_be_bytes()[0], session.to_be_bytes()[1], 0, 0, 0, 0, 0, 0, 0, 1];
    [&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &header, &[5; 8], frame].concat()
}

/// RFC 4302 with a check value of twelve octets, around what `next` says.
pub(crate) fn ah(spi: u32, next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 4, 0, 0][..], &spi.to_be_bytes(), &[0, 0, 0, 1], &[0xaa; 12], payload].concat()
}

/// RFC 4303, of what nobody can read.
pub(crate) fn esp(spi: u32, octets: usize) -> Vec<u8> {
    [&spi.to_be_bytes()[..], &[0, 0, 0, 1], &vec![0xee; octets]].concat()
}

/// A WireGuard message: 1 begins a handshake, 2 answers it, 4 carries data.
pub(crate) fn wireguard(kind: u8, indices: &[u32]) -> Vec<u8> {
    let indices: Vec<u8> = indices.iter().flat_map(|index| index.to_le_bytes()).collect();
    // The lengths of the whitepaper, §5.4.
    let whole = match kind {
        1 => 148,
        2 => 92,
        _ => 80,
    };
    let mut message = [&[kind, 0, 0, 0], &indices[..]].concat();
    message.resize(whole, 0xcc);
    message
}
