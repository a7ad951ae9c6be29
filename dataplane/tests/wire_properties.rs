//! What holds for the parser whatever the packet: no panic, a cut packet never says more than the whole one, and both
//! directions of a conversation have one key.

use dataplane::wire::{self, Beside, LinkType, ParseOptions, Parsed, Reason};
use flowtable::{Direction, Nanos, PortId};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

const LINKS: [LinkType; 6] =
    [LinkType::Ethernet, LinkType::Raw, LinkType::Ppp, LinkType::Cooked, LinkType::Cooked2, LinkType::Null];

/// One conversation's packet as it is built, and the same turned around.
#[derive(Clone, Debug)]
struct Made {
    tags: Vec<u16>,
    protocol: u8,
    a: u32,
    b: u32,
    a_port: u16,
    b_port: u16,
    v6: bool,
    extensions: usize,
    payload: Vec<u8>,
}

impl Made {
    fn turned(&self) -> Made {
        Made { a: self.b, b: self.a, a_port: self.b_port, b_port: self.a_port, ..self.clone() }
    }

    /// Where the IP header begins in [`Made::frame`].
    fn ip_at(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Where the transport header begins in [`Made::frame`].
    fn transport_at(&self) -> usize {
        self.ip_at() + if self.v6 { 40 + 8 * self.extensions } else { 20 }
    }

    fn frame(&self) -> Vec<u8> {
        let ethertype: [u8; 2] = if self.v6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in &self.tags {
            frame.extend([0x81, 0x00]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(ethertype);
        let transport = self.transport();
        let write = if self.v6 { Made::v6 } else { Made::v4 };
        write(self, &mut frame, &transport);
        frame
    }

    fn v4(&self, frame: &mut Vec<u8>, transport: &[u8]) {
        let total = u16::try_from(20 + transport.len()).unwrap_or(u16::MAX).to_be_bytes();
        frame.extend([0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, self.protocol, 0, 0]);
        frame.extend(self.a.to_be_bytes());
        frame.extend(self.b.to_be_bytes());
        frame.extend(transport);
    }

    fn v6(&self, frame: &mut Vec<u8>, transport: &[u8]) {
        let length = u16::try_from(8 * self.extensions + transport.len()).unwrap_or(u16::MAX).to_be_bytes();
        let first = if self.extensions == 0 { self.protocol } else { 60 };
        frame.extend([0x60, 0, 0, 0, length[0], length[1], first, 64]);
        for address in [self.a, self.b] {
            frame.extend((0x2001_0db8_u128 << 96 | u128::from(address)).to_be_bytes());
        }
        for left in (0..self.extensions).rev() {
            frame.extend([if left == 0 { self.protocol } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
        }
        frame.extend(transport);
    }

    fn transport(&self) -> Vec<u8> {
        let mut header = [self.a_port.to_be_bytes(), self.b_port.to_be_bytes()].concat();
        match self.protocol {
            6 => header.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0]),
            17 => {
                let length = u16::try_from(8 + self.payload.len()).unwrap_or(u16::MAX);
                header.extend(length.to_be_bytes());
                header.extend([0, 0]);
            }
            _ => header.extend([0; 8]),
        }
        header.extend(&self.payload);
        header
    }
}

fn made() -> impl Strategy<Value = Made> {
    let ends = (any::<u32>(), any::<u32>(), any::<u16>(), any::<u16>());
    let protocol = prop_oneof![Just(6_u8), Just(17), Just(132)];
    let shape = (vec(0_u16..4096, 0..=4), protocol, any::<bool>(), 0_usize..5, vec(any::<u8>(), 0..40));
    (ends, shape).prop_map(|((a, b, a_port, b_port), (tags, protocol, v6, extensions, payload))| Made {
        tags,
        protocol,
        a,
        b,
        a_port,
        b_port,
        v6,
        extensions,
        payload,
    })
}

fn parse(link: LinkType, frame: &[u8]) -> Result<Parsed, Reason> {
    let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    parse_cut(link, frame, wire_len)
}

fn parse_cut(link: LinkType, frame: &[u8], wire_len: u32) -> Result<Parsed, Reason> {
    wire::parse(link, frame, wire_len, Nanos(1), PortId(0), &ParseOptions::default(), &mut Beside::default())
}

proptest! {
    #[test]
    fn any_octets_parse_without_panic(frame in vec(any::<u8>(), 0..120), wire_len in any::<u32>()) {
        for link in LINKS {
            let _ = parse_cut(link, &frame, wire_len);
        }
    }

    #[test]
    fn a_few_octets_overwritten_parse_without_panic(
        made in made(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut frame = made.frame();
        for (place, octet) in changes {
            let place = place.index(frame.len());
            frame[place] = octet;
        }
        let _ = parse(LinkType::Ethernet, &frame);
        for link in LINKS {
            let _ = parse(link, frame.get(made.ip_at()..).unwrap_or(&[]));
        }
    }

    #[test]
    fn both_directions_have_one_key(made in made()) {
        let there = parse(LinkType::Ethernet, &made.frame());
        let back = parse(LinkType::Ethernet, &made.turned().frame());
        let (Ok(there), Ok(back)) = (there, back) else {
            return Err(TestCaseError::fail("both are whole packets"));
        };
        prop_assert_eq!(there.packet.key, back.packet.key);
        if (made.a, made.a_port) == (made.b, made.b_port) {
            prop_assert_eq!([there.packet.direction, back.packet.direction], [Direction::LoToHi; 2]);
        } else {
            prop_assert_eq!(there.packet.direction, back.packet.direction.flipped());
        }
        prop_assert_eq!(there.anomaly, None);
    }

    #[test]
    fn capture_cut_anywhere_is_an_error_or_a_flow_with_the_same_octets(made in made()) {
        let frame = made.frame();
        let Ok(wire_len) = u32::try_from(frame.len()) else { return Ok(()) };
        let whole = parse(LinkType::Ethernet, &frame).map(|parsed| parsed.packet);
        for cut in 0..frame.len() {
            let parsed = parse_cut(LinkType::Ethernet, &frame[..cut], wire_len);
            let header_end = if made.v6 { made.ip_at() + 40 } else { made.ip_at() + 20 };
            let (Ok(parsed), Ok(whole)) = (parsed, whole) else {
                prop_assert!(cut < header_end, "{}", cut);
                continue;
            };
            prop_assert!(cut >= header_end);
            prop_assert_eq!(parsed.packet.bytes, whole.bytes);
            if cut < made.transport_at() + 4 {
                prop_assert_eq!((parsed.packet.key.lo_port, parsed.packet.key.hi_port), (0, 0));
            } else {
                prop_assert_eq!(parsed.packet.key, whole.key);
            }
        }
    }

    #[test]
    fn frame_cut_anywhere_never_counts_more_than_its_ip_header_says(made in made()) {
        let frame = made.frame();
        let Ok(whole) = parse(LinkType::Ethernet, &frame) else { return Ok(()) };
        for cut in 0..frame.len() {
            if let Ok(parsed) = parse(LinkType::Ethernet, &frame[..cut]) {
                prop_assert_eq!(parsed.packet.bytes, whole.packet.bytes);
                prop_assert!(parsed.anomaly.is_some(), "{}", cut);
            }
        }
    }

    #[test]
    fn padding_never_counts(made in made(), padding in 0_usize..60) {
        let mut frame = made.frame();
        let whole = parse(LinkType::Ethernet, &frame);
        frame.resize(frame.len() + padding, 0);
        prop_assert_eq!(parse(LinkType::Ethernet, &frame), whole);
    }
}
