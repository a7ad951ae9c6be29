//! IPv6 header and extension headers, RFC 8200 §3 and §4. Gives addresses, lengths and the protocol behind the extensions.
//!
//! Hop-by-hop, routing, fragment, destination options and shim6 (RFC 5533) headers are stepped over. Mobility and HIP end
//! the walk: they are flows of their own protocol without ports, like "no next header". AH and ESP end it as well: they
//! are tunnels, and a chain that goes on behind AH is walked from there.

use super::{Anomaly, Reason, ip::Part, octets, up_to};
use flowtable::protocol::{TCP, UDP};

const HEADER_LEN: usize = 40;
const FRAGMENT_LEN: usize = 8;

/// Extension headers followed in one packet; a longer chain is a flow of the last header reached.
const MAX_EXTENSIONS: usize = 16;

/// Next-header values of the extension headers that are stepped over (IANA "IPv6 Extension Header Types").
mod extension {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const DESTINATION: u8 = 60;
    pub(crate) const SHIM6: u8 = 140;
}

/// Types of the options in hop-by-hop and destination options headers (IANA "Destination Options and Hop-by-Hop Options").
mod option {
    /// One octet of padding, the only option without a length.
    pub(crate) const PAD1: u8 = 0;
    pub(crate) const JUMBO: u8 = 0xc2;
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ipv6 {
    pub source: u128,
    pub destination: u128,
    pub hop_limit: u8,
    pub traffic_class: u8,
    /// 20 bits.
    pub flow_label: u32,
    /// Octets of the packet: payload length + 40. A payload length of 0 stands for the jumbo option's length
    /// (RFC 2675) or, under TCP and UDP, for what is left of the frame, as segmentation offload leaves it.
    pub octets: u32,
    pub chain: Chain,
}

/// Where the walk over the extension headers stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The last header that could be read as such: the transport protocol, or where the walk ended.
    pub protocol: u8,
    /// Octets behind the extension headers by the payload length.
    pub octets: u32,
    /// What the fragment header says, unless it is that of a whole packet (RFC 6946).
    pub part: Option<Part>,
    pub anomaly: Option<Anomaly>,
}

impl Chain {
    /// Before a header of the type `protocol`, from which on there are `octets`.
    #[inline]
    pub(super) fn new(protocol: u8, octets: u32) -> Chain {
        Chain { protocol, octets, part: None, anomaly: None }
    }

    /// The chain behind all extension headers at the start of `bytes`, and the octets from there on.
    #[inline]
    pub(super) fn follow(self, bytes: &[u8]) -> (Chain, &[u8]) {
        if !is_stepped_over(self.protocol) {
            return (self, bytes);
        }
        let mut chain = self;
        let rest = step_over_extensions(&mut chain, bytes);
        (chain, rest)
    }
}

/// Parses `bytes`, of which `wire_octets` were on the wire.
#[inline(always)]
pub(super) fn parse(bytes: &[u8], wire_octets: u32) -> Result<(Ipv6, &[u8]), Reason> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Reason::Ipv6Truncated)?;
    let [v0, v1, v2, v3, l0, l1, next_header, hop_limit, addresses @ ..] = header;
    let first_word = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
    if first_word >> 28 != 6 {
        return Err(Reason::Ipv6BadVersion);
    }
    let (source, destination) = addresses.split_first_chunk::<16>().ok_or(Reason::Ipv6Truncated)?;
    let destination = destination.first_chunk::<16>().ok_or(Reason::Ipv6Truncated)?;
    let wire_payload = wire_octets.saturating_sub(40);
    let payload_length = match u16::from_be_bytes([*l0, *l1]) {
        0 => unsaid_length(*next_header, rest, wire_payload),
        length => u32::from(length),
    };
    let mut chain = Chain::new(*next_header, payload_length);
    if payload_length > wire_payload {
        chain.anomaly = Some(Anomaly::Ipv6BeyondFrame);
    }
    let (chain, payload) = chain.follow(up_to(rest, payload_length));
    let ipv6 = Ipv6 {
        source: u128::from_be_bytes(*source),
        destination: u128::from_be_bytes(*destination),
        hop_limit: *hop_limit,
        traffic_class: (first_word >> 20 & 0xff) as u8,
        flow_label: first_word & 0x000f_ffff,
        octets: payload_length.saturating_add(40),
        chain,
    };
    Ok((ipv6, payload))
}

/// Moves `chain` on to the first header that is no extension, and gives the octets from there on.
fn step_over_extensions<'a>(chain: &mut Chain, mut bytes: &'a [u8]) -> &'a [u8] {
    for _ in 0..MAX_EXTENSIONS {
        let length = match chain.protocol {
            extension::HOP_BY_HOP | extension::ROUTING | extension::DESTINATION | extension::SHIM6 => {
                extension_length(bytes)
            }
            extension::FRAGMENT => Some(FRAGMENT_LEN),
            _ => return bytes,
        };
        let Some((header, rest)) = length.and_then(|length| bytes.split_at_checked(length)) else {
            chain.anomaly = Some(Anomaly::Ipv6ExtensionCut);
            return &[];
        };
        if matches!(chain.protocol, extension::HOP_BY_HOP | extension::DESTINATION)
            && !options_fit(header, rest)
        {
            chain.anomaly = Some(Anomaly::Ipv6BadOption);
            return &[];
        }
        chain.octets = chain.octets.saturating_sub(octets(header));
        if chain.protocol == extension::FRAGMENT {
            chain.part = part(header, chain.octets);
        }
        chain.protocol = header.first().copied().unwrap_or(0);
        bytes = rest;
        if chain.part.is_some_and(|part| part.offset != 0) {
            return bytes;
        }
    }
    if is_stepped_over(chain.protocol) {
        chain.anomaly = Some(Anomaly::Ipv6TooManyExtensions);
        return &[];
    }
    bytes
}

/// What a fragment header in front of `octets` says; `None` for the only part of a packet.
fn part(header: &[u8], octets: u32) -> Option<Part> {
    let &[protocol, _, f0, f1, i0, i1, i2, i3] = header.first_chunk::<FRAGMENT_LEN>()?;
    let fragment = u16::from_be_bytes([f0, f1]);
    let offset = u32::from(fragment & !0x7);
    let more = fragment & 1 != 0;
    let id = u32::from_be_bytes([i0, i1, i2, i3]);
    (offset != 0 || more).then_some(Part { id, protocol, offset, octets, more })
}

#[inline]
fn is_stepped_over(next_header: u8) -> bool {
    use extension::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING, SHIM6};
    matches!(next_header, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION | SHIM6)
}

/// The payload length of a packet whose header says 0.
#[cold]
fn unsaid_length(next_header: u8, rest: &[u8], wire_payload: u32) -> u32 {
    match next_header {
        extension::HOP_BY_HOP => jumbo_length(rest).unwrap_or(0),
        TCP | UDP => wire_payload,
        _ => 0,
    }
}

/// The length in the jumbo payload option of the hop-by-hop header at the start of `bytes`, RFC 2675 §2.
fn jumbo_length(bytes: &[u8]) -> Option<u32> {
    let length = extension_length(bytes)?;
    let (_, value) = options(bytes.get(..length)?).flatten().find(|&(kind, _)| kind == option::JUMBO)?;
    value.first_chunk().map(|length| u32::from_be_bytes(*length))
}

/// Whether no option of a hop-by-hop or destination options `header` runs beyond the packet, which goes on for `rest`.
///
/// One that only runs into what follows its header does not hide it: the header's length says where that begins.
fn options_fit(header: &[u8], rest: &[u8]) -> bool {
    options(header).all(|option| option.map_or_else(|missing| missing <= rest.len(), |_| true))
}

/// Type and value of each option in `header`, RFC 8200 §4.2. Ends with how many octets are missing for an option that
/// runs beyond the header.
fn options(header: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), usize>> {
    let mut left = header.get(2..).unwrap_or(&[]);
    // Every round takes at least one octet off the header, which has at most 2,048.
    std::iter::from_fn(move || match *left {
        [kind @ option::PAD1, ref behind @ ..] => {
            left = behind;
            Some(Ok((kind, &[][..])))
        }
        [kind, size, ref behind @ ..] => {
            let size = usize::from(size);
            let (value, behind) = behind.split_at_checked(size).map_or_else(
                || (Err(size.saturating_sub(behind.len())), &[][..]),
                |(value, behind)| (Ok((kind, value)), behind),
            );
            left = behind;
            Some(value)
        }
        _ => None,
    })
}

/// Octets of the extension header at the start of `bytes`: its second octet, in units of 8, the first not counted.
fn extension_length(bytes: &[u8]) -> Option<usize> {
    bytes.get(1).map(|&units| usize::from(units).saturating_add(1) << 3)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A header for `payload`, addresses 2001::1 to 2001::2, and the payload.
    pub(crate) fn packet(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x6b, 0x81, 0x23, 0x45, length[0], length[1], next_header, 64];
        packet.extend((0x2001_u128 << 112 | 1).to_be_bytes());
        packet.extend((0x2001_u128 << 112 | 2).to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn parsed(bytes: &[u8]) -> Result<(Ipv6, &[u8]), Reason> {
        parse(bytes, octets(bytes))
    }

    #[test]
    fn fields_are_read_and_padding_is_not_payload() {
        let mut bytes = packet(17, &[1, 2, 3]);
        bytes.extend([0; 9]);
        let (header, payload) = parsed(&bytes).unwrap();
        let expected = Ipv6 {
            source: 0x2001 << 112 | 1,
            destination: 0x2001 << 112 | 2,
            hop_limit: 64,
            traffic_class: 0xb8,
            flow_label: 0x1_2345,
            octets: 43,
            chain: Chain::new(17, 3),
        };
        assert_eq!((header, payload), (expected, &[1, 2, 3][..]));
        assert_eq!(parsed(&bytes[..39]).err(), Some(Reason::Ipv6Truncated));
        bytes[0] = 0x40;
        assert_eq!(parsed(&bytes).err(), Some(Reason::Ipv6BadVersion));
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        let mut payload = vec![43, 1];
        payload.extend([0; 14]);
        payload.extend([60, 0, 0, 0, 0, 0, 0, 0]);
        payload.extend([44, 0, 1, 4, 0, 0, 0, 0]);
        payload.extend([6, 0, 0, 0, 0, 0, 0, 1]);
        payload.push(9);
        let (header, rest) = parsed(&packet(0, &payload).clone()).map(|(h, r)| (h, r.to_vec())).unwrap();
        assert_eq!((header.chain.protocol, header.chain.octets, rest), (6, 1, vec![9]));
    }

    #[test]
    fn cut_extension_header_is_the_last_one_read() {
        let bytes = packet(60, &[17, 2, 0, 0, 0, 0, 0, 0]);
        let (header, rest) = parsed(&bytes).unwrap();
        assert_eq!(
            (header.chain.protocol, header.chain.anomaly, rest),
            (60, Some(Anomaly::Ipv6ExtensionCut), &[][..])
        );
    }

    #[test]
    fn option_beyond_the_packet_ends_the_walk() {
        let after = |size| packet(60, &[17, 0, 0x1e, size, 0, 0, 0, 0, 0, 53, 0, 53, 0, 8, 0, 0]);
        let walk = |bytes: &[u8]| parsed(bytes).map(|(h, _)| (h.chain.protocol, h.chain.anomaly));
        assert_eq!(walk(&after(4)), Ok((17, None)));
        assert_eq!(walk(&after(12)), Ok((17, None)));
        assert_eq!(walk(&after(13)), Ok((60, Some(Anomaly::Ipv6BadOption))));
    }

    #[test]
    fn walk_ends_at_a_later_fragment() {
        let bytes = packet(44, &[60, 0, 0x05, 0xc9, 0, 0, 0, 1, 255, 255]);
        let (header, _) = parsed(&bytes).unwrap();
        let part = Part { id: 1, protocol: 60, offset: 1480, octets: 2, more: true };
        assert_eq!((header.chain.protocol, header.chain.part), (60, Some(part)));
        assert_eq!(header.chain.anomaly, None);
    }

    #[test]
    fn first_fragment_is_walked_through_and_the_only_one_is_none() {
        let bytes = packet(44, &[60, 0, 0, 1, 0, 0, 0, 9, 17, 0, 1, 4, 0, 0, 0, 0, 255]);
        let (header, rest) = parsed(&bytes).unwrap();
        let part = Part { id: 9, protocol: 60, offset: 0, octets: 9, more: true };
        assert_eq!((header.chain.protocol, header.chain.part, rest), (17, Some(part), &[255][..]));
        let bytes = packet(44, &[17, 0, 0, 0, 0, 0, 0, 9, 255]);
        assert_eq!(parsed(&bytes).map(|(h, _)| (h.chain.protocol, h.chain.part)), Ok((17, None)));
    }

    #[test]
    fn walk_ends_at_mobility_and_at_no_next_header() {
        for last in [59, 135, 139, 50, 51] {
            let bytes = packet(0, &[last, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0]);
            assert_eq!(parsed(&bytes).map(|(h, _)| (h.chain.protocol, h.chain.anomaly)), Ok((last, None)));
        }
    }

    #[test]
    fn chain_of_extensions_is_followed_only_so_far() {
        let mut payload = [60, 0, 1, 4, 0, 0, 0, 0].repeat(MAX_EXTENSIONS - 1);
        payload.extend([17, 0, 1, 4, 0, 0, 0, 0]);
        assert_eq!(
            parsed(&packet(60, &payload)).map(|(h, _)| (h.chain.protocol, h.chain.anomaly)),
            Ok((17, None))
        );
        let endless = [60, 0, 1, 4, 0, 0, 0, 0].repeat(100);
        let anomaly = Some(Anomaly::Ipv6TooManyExtensions);
        assert_eq!(
            parsed(&packet(60, &endless)).map(|(h, _)| (h.chain.protocol, h.chain.anomaly)),
            Ok((60, anomaly))
        );
    }

    #[test]
    fn payload_length_of_zero_is_looked_up_elsewhere() {
        let mut jumbo = packet(0, &[6, 0, 0xc2, 4, 0, 1, 0, 8, 9, 9]);
        (jumbo[4], jumbo[5]) = (0, 0);
        let (header, _) = parse(&jumbo, 40 + 0x1_0008).unwrap();
        assert_eq!((header.octets, header.chain.octets, header.chain.protocol), (0x1_0030, 0x1_0000, 6));

        let mut offloaded = packet(6, &[9; 20]);
        (offloaded[4], offloaded[5]) = (0, 0);
        assert_eq!(parse(&offloaded, 9000).map(|(h, p)| (h.octets, p.len())), Ok((9000, 20)));

        let mut empty = packet(59, &[0; 6]);
        (empty[4], empty[5]) = (0, 0);
        assert_eq!(parsed(&empty).map(|(h, p)| (h.octets, p.len())), Ok((40, 0)));
    }
}
