//! The short ways: what most packets of most links are, with one check of the length and no step between the layers. What is
//! given here is what the general way gives; all else goes that way.
//!
//! All of them are in line where frames are taken: as functions of their own, IPv6 and VXLAN take some 40 instructions more.

mod ipv4;
mod ipv6;
mod vxlan;

use super::ethertype::number;
use super::{ParseOptions, tunnel};
use flowtable::{Burst, Nanos, PortId, TcpSegment, protocol};

const ETHERNET_LEN: usize = 14;
const TAG_LEN: usize = 4;
const IPV4_LEN: usize = 20;
/// A TCP header without options.
const TCP_LEN: usize = 20;
/// The Ethernet type, version 4 and a header of five words, above the type of service.
const PLAIN_IPV4: u32 = 0x08_0045;
/// "More fragments" and the fragment offset of IPv4.
const FRAGMENT_BITS: u16 = 0x3fff;
const VLAN_ID: u32 = 0x0fff;

/// What became of a frame on the way of plain IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its brief is written.
    Written,
    /// Plain UDP with a port of VXLAN; its brief is worth nothing.
    Vxlan,
    /// Plain UDP with a port of another tunnel; likewise.
    Tunnel,
    /// All else; its brief is worth nothing.
    Other,
}

/// Adds the packet of an Ethernet frame to `burst`; `false` where it has to go the general way, or there is no room.
#[inline(always)]
pub(super) fn push(
    frame: &[u8],
    wire_len: u32,
    at: Nanos,
    port: PortId,
    options: &ParseOptions,
    burst: &mut Burst,
) -> bool {
    let Some(place) = burst.place() else { return false };
    match ipv4::write(frame, wire_len, at, port, options, place.brief) {
        Outcome::Written => {
            place.push();
            true
        }
        Outcome::Vxlan => vxlan::push(frame, wire_len, at, port, options, burst),
        Outcome::Tunnel => false,
        Outcome::Other => ipv6::push(frame, wire_len, at, port, options, burst),
    }
}

/// The `LEN` octets behind Ethernet and at most one VLAN tag, the tag's id, and how many octets are before; `None` where there
/// are fewer. `FRAME` is `LEN` with an Ethernet header, `TAGGED` with a tag as well. `is_type` looks at the Ethernet type and
/// the two octets behind it.
#[inline(always)]
fn behind_link<const LEN: usize, const FRAME: usize, const TAGGED: usize>(
    frame: &[u8],
    is_type: impl Fn(u32) -> bool,
) -> Option<(&[u8; LEN], u32, u32)> {
    const { assert!(FRAME == ETHERNET_LEN + LEN && TAGGED == FRAME + TAG_LEN) };
    let untagged = frame.first_chunk::<FRAME>()?;
    let typed = word32(untagged, 12);
    if is_type(typed) {
        return Some((untagged.last_chunk()?, 0, 14));
    }
    if typed >> 16 != u32::from(number::VLAN) {
        return None;
    }
    let tagged = frame.first_chunk::<TAGGED>()?;
    is_type(word32(tagged, 16)).then_some((tagged.last_chunk()?, (typed & VLAN_ID) << 12, 18))
}

/// The source address of an Ethernet frame, and the two octets behind it; 0 where it is cut short.
#[inline(always)]
fn source_mac(frame: &[u8]) -> [u8; 8] {
    frame.first_chunk::<ETHERNET_LEN>().map_or([0; 8], |header| chunk(header, 6))
}

/// The octets of a plain IPv4 packet by its header, where they are within `limit` and it is no fragment. They may be fewer than
/// those of the header.
#[inline(always)]
fn total_length<const LEN: usize>(header: &[u8; LEN], limit: u32) -> Option<u32> {
    let length = u32::from(word16(header, 2));
    (length <= limit && word16(header, 6) & FRAGMENT_BITS == 0).then_some(length)
}

/// The TCP header at `at`, in an IP packet of `octets`, `before` of them before it; `None` where it does not fit that.
#[inline(always)]
fn segment<const LEN: usize>(header: &[u8; LEN], at: usize, octets: u32, before: u32) -> Option<TcpSegment> {
    let numbers = word64(header, at.wrapping_add(4));
    let [offset, flags, window @ ..] = word32(header, at.wrapping_add(12)).to_be_bytes();
    let header_octets = u32::from(offset >> 4 << 2);
    if header_octets < 20 {
        return None;
    }
    Some(TcpSegment {
        acknowledgment: (numbers & 0xffff_ffff) as u32,
        sequence: (numbers >> 32) as u32,
        payload: octets.checked_sub(before.wrapping_add(header_octets))?,
        window: u16::from_be_bytes(window),
        flags,
    })
}

/// What the transport header at `at` of an IP packet of `octets`, `before` of them before it, has of TCP: nothing in UDP. `None`
/// of what is neither or not sound, and of UDP that may be a tunnel.
#[inline(always)]
fn transport<const LEN: usize>(
    header: &[u8; LEN],
    at: usize,
    protocol: u8,
    octets: u32,
    before: u32,
    options: &ParseOptions,
) -> Option<TcpSegment> {
    match protocol {
        protocol::TCP => segment(header, at, octets, before),
        protocol::UDP
            if is_datagram(header, at, octets, before)
                && !tunnel::has_port_of_one(word32(header, at), &options.tunnels) =>
        {
            Some(TcpSegment::default())
        }
        _ => None,
    }
}

/// Whether the length in the UDP header at `at` is one and fits an IP packet of `octets`, `before` of them before it.
#[inline(always)]
fn is_datagram<const LEN: usize>(header: &[u8; LEN], at: usize, octets: u32, before: u32) -> bool {
    let length = u32::from(word16(header, at.wrapping_add(4)));
    length >= 8 && length.wrapping_add(before) <= octets
}

/// The octets from a constant `at` on, which lie inside: the compiler sees that, and leaves the check out.
#[inline(always)]
fn chunk<const N: usize, const LEN: usize>(header: &[u8; LEN], at: usize) -> [u8; N] {
    header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[inline(always)]
fn word16<const LEN: usize>(header: &[u8; LEN], at: usize) -> u16 {
    u16::from_be_bytes(chunk(header, at))
}

#[inline(always)]
fn word32<const LEN: usize>(header: &[u8; LEN], at: usize) -> u32 {
    u32::from_be_bytes(chunk(header, at))
}

#[inline(always)]
fn word64<const LEN: usize>(header: &[u8; LEN], at: usize) -> u64 {
    u64::from_be_bytes(chunk(header, at))
}
