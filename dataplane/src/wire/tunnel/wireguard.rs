//! WireGuard messages (whitepaper §5.4). Gives the indices of the two peers, little-endian; what follows is encrypted.

use super::{Encapsulation, Inner, Payload, TunnelKind};

/// Type, three reserved octets and one index; the length of the shortest message is checked besides.
const HEADER_LEN: usize = 8;

/// Octets of the three messages of fixed length.
const INITIATION_LEN: u32 = 148;
const RESPONSE_LEN: u32 = 92;
const COOKIE_LEN: u32 = 64;
/// Octets of a data message without data, a keepalive; data is padded to [`DATA_UNIT`].
const KEEPALIVE_LEN: u32 = 32;
const DATA_UNIT: u32 = 16;

#[derive(Debug, PartialEq, Eq)]
struct Wireguard {
    sender: Option<u32>,
    receiver: Option<u32>,
}

/// Parses a message of `octets` on the wire.
fn parse(bytes: &[u8], octets: u32) -> Option<Wireguard> {
    let (&[kind, 0, 0, 0, f0, f1, f2, f3], rest) = bytes.split_first_chunk::<HEADER_LEN>()? else {
        return None;
    };
    let first = Some(u32::from_le_bytes([f0, f1, f2, f3]));
    match (kind, octets) {
        (1, INITIATION_LEN) => Some(Wireguard { sender: first, receiver: None }),
        (2, RESPONSE_LEN) => {
            let second = rest.first_chunk().map(|index| u32::from_le_bytes(*index));
            Some(Wireguard { sender: first, receiver: second })
        }
        (3, COOKIE_LEN) => Some(Wireguard { sender: None, receiver: first }),
        (4, KEEPALIVE_LEN..) if octets.is_multiple_of(DATA_UNIT) => {
            Some(Wireguard { sender: None, receiver: first })
        }
        _ => None,
    }
}

pub(super) fn encapsulation(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    let message = parse(payload.bytes, payload.octets)?;
    Some(Encapsulation {
        sender_index: message.sender,
        receiver_index: message.receiver,
        ..Encapsulation::new(TunnelKind::Wireguard, Inner::Sealed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8) -> [u8; 12] {
        [kind, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    }

    #[test]
    fn indices_are_where_the_type_has_them() {
        let (first, second) = (Some(0x0403_0201), Some(0x0807_0605));
        let told = |kind, octets| parse(&message(kind), octets).map(|told| (told.sender, told.receiver));
        assert_eq!(told(1, 148), Some((first, None)));
        assert_eq!(told(2, 92), Some((first, second)));
        assert_eq!(told(3, 64), Some((None, first)));
        assert_eq!(told(4, 32), Some((None, first)));
        assert_eq!(told(4, 1456), Some((None, first)));
    }

    #[test]
    fn other_lengths_types_and_reserved_octets_are_another_protocol() {
        for (kind, octets) in [(1, 147), (1, 149), (2, 64), (3, 32), (4, 16), (4, 33), (0, 148), (5, 148)] {
            assert_eq!(parse(&message(kind), octets), None, "{kind} {octets}");
        }
        let mut reserved = message(4);
        reserved[3] = 1;
        assert_eq!(parse(&reserved, 32), None);
        assert_eq!(parse(&message(4)[..7], 32), None);
    }
}
