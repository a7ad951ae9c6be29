//! Community ID v1, <https://github.com/corelight/community-id-spec>: a hash of the 5-tuple that other monitors compute too.
//!
//! Depends on the key alone, so it is the same for both directions. VLAN and tunnel are not part of it.

use flowtable::{Direction, Endpoint, Family, FlowKey, protocol};
use sha1::Sha1Core;
use sha1::digest::core_api::Block;

use super::ShortText;
use super::in_place::Window;

/// What every id begins with: the version of the specification.
const VERSION: [u8; 2] = *b"1:";
/// The version, and base64 of the 20 octets of a SHA-1.
const LEN: usize = 2 + 28;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Two digits of every twelve bits.
const DIGITS: [[u8; 2]; 1 << 12] = digits();
/// What SHA-1 starts from, FIPS 180-4 §5.3.1.
const SHA1_START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
const SHA1_BLOCK_LEN: usize = 64;
/// What follows the message, FIPS 180-4 §5.1.1.
const SHA1_END: u8 = 0x80;

/// The id of a flow, `1:` and the base64 of a SHA-1.
///
/// Endpoints are hashed in canonical order; a one-way ICMP message keeps the order it was sent in.
pub fn community_id(key: &FlowKey, seed: u16) -> ShortText {
    ShortText::written(|window| write(key, seed, window))
}

/// Writes the id; gives its length.
#[inline]
pub fn write(key: &FlowKey, seed: u16, window: &mut Window) -> usize {
    let way = key.one_way.unwrap_or(Direction::LoToHi);
    let (first, second) = (key.sender(way), key.sender(way.flipped()));
    let digest = match key.family {
        Family::V4 => digest(key.protocol, seed, (v4(first), first.port), (v4(second), second.port)),
        Family::V6 => digest(key.protocol, seed, (v6(first), first.port), (v6(second), second.port)),
    };
    window[..2].copy_from_slice(&VERSION);
    base64(&digest, window);
    LEN
}

/// Whether the specification puts the ports of this protocol into the hash.
fn hashes_ports(protocol: u8) -> bool {
    matches!(protocol, protocol::ICMP | protocol::TCP | protocol::UDP | protocol::ICMPV6 | protocol::SCTP)
}

/// The octets of an IPv4 address, which lives in the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "that is where it lives")]
#[inline]
fn v4(end: Endpoint) -> [u8; 4] {
    (end.address as u32).to_be_bytes()
}

#[inline]
fn v6(end: Endpoint) -> [u8; 16] {
    end.address.to_be_bytes()
}

/// SHA-1 of seed, addresses of `N` octets, protocol, padding and, where they are hashed, ports. At most 40 octets, so one block
/// holds them with their end and their length. The crate takes the processor's SHA instructions where it has them.
#[inline]
fn digest<const N: usize>(
    protocol: u8,
    seed: u16,
    (first, first_port): ([u8; N], u16),
    (second, second_port): ([u8; N], u16),
) -> [u32; 5] {
    let mut block = [0; SHA1_BLOCK_LEN];
    block[..2].copy_from_slice(&seed.to_be_bytes());
    block[2..2 + N].copy_from_slice(&first);
    block[2 + N..2 + 2 * N].copy_from_slice(&second);
    let rest = &mut block[2 + 2 * N..];
    rest[0] = protocol;
    let end = if hashes_ports(protocol) {
        rest[2..4].copy_from_slice(&first_port.to_be_bytes());
        rest[4..6].copy_from_slice(&second_port.to_be_bytes());
        6
    } else {
        2
    };
    rest[end] = SHA1_END;
    let bits = 8 * (2 + 2 * N + end) as u64;
    block[SHA1_BLOCK_LEN - 8..].copy_from_slice(&bits.to_be_bytes());
    let mut state = SHA1_START;
    sha1::compress(&mut state, &[Block::<Sha1Core>::from(block)]);
    state
}

const fn digits() -> [[u8; 2]; 1 << 12] {
    let mut digits = [[0; 2]; 1 << 12];
    let mut bits = 0;
    while bits < digits.len() {
        digits[bits] = [BASE64[bits >> 6], BASE64[bits & 0x3f]];
        bits += 1;
    }
    digits
}

/// Writes the base64 of a SHA-1 behind the version.
#[inline]
fn base64(digest: &[u32; 5], window: &mut Window) {
    let [a, b, c, d, e] = digest.map(u64::from);
    let (front, middle) = (a << 32 | b, c << 32 | d);
    // 24 bits each, with others in front of them.
    let groups = [
        front >> 40,
        front >> 16,
        front << 8 | middle >> 56,
        middle >> 32,
        middle >> 8,
        middle << 16 | e >> 16,
        e << 8,
    ];
    for (group, four) in groups.into_iter().zip(window[VERSION.len()..LEN].chunks_exact_mut(4)) {
        four[..2].copy_from_slice(&DIGITS[(group >> 12 & 0xfff) as usize]);
        four[2..].copy_from_slice(&DIGITS[(group & 0xfff) as usize]);
    }
    // 20 octets are one short of seven times three: the last digit is padding.
    window[LEN - 1] = b'=';
}
