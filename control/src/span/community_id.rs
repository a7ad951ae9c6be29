//! Community ID v1, <https://github.com/corelight/community-id-spec>: a hash of the 5-tuple that other monitors compute too.
//!
//! Depends on the key alone, so it is the same for both directions. VLAN and tunnel are not part of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flowtable::{Direction, Family, FlowKey, protocol};
use sha1::{Digest, Sha1};

use super::ShortText;

const PREFIX: &[u8] = b"1:";
/// Base64 of the 20 bytes of a SHA-1.
const BASE64_LEN: usize = 28;
/// Seed, two IPv6 addresses, protocol, padding, two ports.
const MAX_INPUT_LEN: usize = 2 + 16 + 16 + 1 + 1 + 2 + 2;

/// The id of a flow, `1:` and the base64 of a SHA-1.
///
/// Endpoints are hashed in canonical order; a one-way ICMP message keeps the order it was sent in.
pub fn community_id(key: &FlowKey, seed: u16) -> ShortText {
    let mut input = Input { bytes: [0; MAX_INPUT_LEN], len: 0 };
    let first = key.sender(key.one_way.unwrap_or(Direction::LoToHi));
    let second = key.sender(key.one_way.unwrap_or(Direction::LoToHi).flipped());
    input.push(&seed.to_be_bytes());
    input.push_address(key.family, first.address);
    input.push_address(key.family, second.address);
    input.push(&[key.protocol, 0]);
    if hashes_ports(key.protocol) {
        input.push(&first.port.to_be_bytes());
        input.push(&second.port.to_be_bytes());
    }
    let digest = Sha1::digest(&input.bytes[..input.len]);
    let mut text = [0; BASE64_LEN];
    let len = BASE64.encode_slice(digest, &mut text).expect("28 characters hold 20 bytes");
    ShortText::ascii(&[PREFIX, &text[..len]])
}

/// Whether the specification puts the ports of this protocol into the hash.
fn hashes_ports(protocol: u8) -> bool {
    matches!(protocol, protocol::ICMP | protocol::TCP | protocol::UDP | protocol::ICMPV6 | protocol::SCTP)
}

/// The bytes to hash, gathered on the stack.
struct Input {
    bytes: [u8; MAX_INPUT_LEN],
    len: usize,
}

impl Input {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_address(&mut self, family: Family, address: u128) {
        let octets = address.to_be_bytes();
        match family {
            Family::V4 => self.push(&octets[12..]),
            Family::V6 => self.push(&octets),
        }
    }
}
