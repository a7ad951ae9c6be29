//! What holds for the parser whatever the packet: no panic, a cut packet never says more than the whole one, and both
//! directions of a conversation have one key, in tunnels as well.

mod wire_support;

use dataplane::wire::{self, Beside, LinkType, ParseOptions, Parsed, Reason};
use flowtable::{Direction, Nanos, PortId, TunnelKind};
use proptest::collection::vec;
use proptest::prelude::{
    Just, Strategy, any, prop_assert, prop_assert_eq, prop_assert_ne, prop_oneof, proptest,
};
use proptest::test_runner::TestCaseError;
use wire_support::{Ends, WRAPS, frame};

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

/// A packet in up to four tunnels, each with ends of its own.
#[derive(Clone, Debug)]
struct Nested {
    innermost: Made,
    /// Innermost first: a row of [`WRAPS`] and the ends it is between.
    tunnels: Vec<(usize, Ends)>,
}

impl Nested {
    fn turned(&self) -> Nested {
        let tunnels = self.tunnels.iter().map(|&(wrap, ends)| (wrap, ends.turned())).collect();
        Nested { innermost: self.innermost.turned(), tunnels }
    }

    /// The IP packets one in another, innermost first.
    fn packets(&self) -> Vec<Vec<u8>> {
        let mut packets = vec![self.innermost.frame().split_off(self.innermost.ip_at())];
        for &(wrap, ends) in &self.tunnels {
            packets.push(WRAPS[wrap].around(ends, &packets[packets.len() - 1]));
        }
        packets
    }

    fn frame(&self) -> Vec<u8> {
        self.packets().last().map_or_else(Vec::new, |outermost| frame(outermost))
    }
}

fn nested() -> impl Strategy<Value = Nested> {
    let ends = (any::<bool>(), 0_u32..128, 128_u32..256).prop_map(|(v6, from, to)| Ends { from, to, v6 });
    (made(), vec((0..WRAPS.len(), ends), 1..=4)).prop_map(|(innermost, mut tunnels)| {
        // AH counts beside the tunnel it authenticates.
        let count = |wrap: usize| if WRAPS[wrap].kind == TunnelKind::Ah { 2 } else { 1 };
        let mut left = 4;
        tunnels.retain(|&(wrap, _)| {
            let fits = count(wrap) <= left;
            left -= if fits { count(wrap) } else { 0 };
            fits
        });
        // So that a packet is known by its addresses.
        for (level, (_, ends)) in (1..).zip(&mut tunnels) {
            (ends.from, ends.to) = (level << 8 | ends.from, level << 8 | ends.to);
        }
        Nested { innermost, tunnels }
    })
}

/// Octets and addresses of each IP packet, from the outermost one.
fn levels(nested: &Nested) -> Vec<(u32, [u128; 2])> {
    let packets = nested.packets();
    let level = |packet: &Vec<u8>| {
        let word = |at: usize, size: usize| {
            packet[at..at + size].iter().fold(0, |word, &octet| word << 8 | u128::from(octet))
        };
        let (source, size) = if packet[0] >> 4 == 4 { (12, 4) } else { (8, 16) };
        let octets = u32::try_from(packet.len()).unwrap_or(0);
        (octets, [word(source, size), word(source + size, size)])
    };
    packets.iter().rev().map(level).collect()
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

    #[test]
    fn any_octets_in_any_tunnel_parse_without_panic(
        outer_v6 in any::<bool>(),
        header in vec(any::<u8>(), 0..120),
        protocol in prop_oneof![Just(4_u8), Just(41), Just(47), Just(50), Just(51)],
        port in prop_oneof![Just(4789_u16), Just(6081), Just(2152), Just(51_820)],
        ethertype in prop_oneof![Just(0x8847_u16), Just(0x8864), Just(0x8863), Just(0x88e7)],
    ) {
        let ends = Ends { from: 1, to: 2, v6: outer_v6 };
        let udp = [&[0x9c, 0x40][..], &port.to_be_bytes(), &[0; 4], &header].concat();
        let below = [&[2; 12][..], &ethertype.to_be_bytes(), &header].concat();
        for frame in [frame(&ends.packet(protocol, &header)), frame(&ends.packet(17, &udp)), below] {
            let _ = parse(LinkType::Ethernet, &frame);
        }
    }

    #[test]
    fn a_few_octets_overwritten_in_tunnels_parse_without_panic(
        nested in nested(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut frame = nested.frame();
        for (place, octet) in changes {
            let place = place.index(frame.len());
            frame[place] = octet;
        }
        let _ = parse(LinkType::Ethernet, &frame);
        let _ = parse(LinkType::Ethernet, &frame[..cut.index(frame.len())]);
    }

    #[test]
    fn both_directions_have_one_key_in_tunnels(nested in nested()) {
        let there = parse(LinkType::Ethernet, &nested.frame());
        let back = parse(LinkType::Ethernet, &nested.turned().frame());
        let (Ok(there), Ok(back)) = (there, back) else {
            return Err(TestCaseError::fail("both are whole packets"));
        };
        prop_assert_eq!(there.packet.key, back.packet.key);
        prop_assert_eq!((there.anomaly, there.beside), (None, true));
        prop_assert!(there.packet.key.tunnel != 0);
        let alone = parse(LinkType::Ethernet, &nested.innermost.frame()).map(|parsed| parsed.packet.key.lo_port);
        prop_assert_eq!(Ok(there.packet.key.lo_port), alone);
    }

    #[test]
    fn tunnels_cut_anywhere_are_an_error_or_a_flow_of_a_packet_further_out(
        nested in nested(),
        by_capture in any::<bool>(),
    ) {
        let frame = nested.frame();
        let levels = levels(&nested);
        let mut deepest = 0;
        for cut in 0..=frame.len() {
            let wire_len = if by_capture { frame.len() } else { cut };
            let parsed =
                parse_cut(LinkType::Ethernet, &frame[..cut], u32::try_from(wire_len).unwrap_or(u32::MAX));
            let Ok(Parsed { packet, .. }) = parsed else {
                prop_assert_eq!(deepest, 0);
                continue;
            };
            let ends = [packet.direction, packet.direction.flipped()].map(|way| packet.key.sender(way).address);
            let level = levels.iter().position(|&level| level == (packet.bytes, ends));
            prop_assert!(level.is_some_and(|level| level >= deepest), "{:?} at {}", level, cut);
            deepest = level.unwrap_or(0);
        }
        prop_assert_eq!(deepest, levels.len() - 1);
    }

    #[test]
    fn what_is_beside_a_packet_does_not_depend_on_the_one_before(before in nested(), nested in nested()) {
        let (mut used, mut fresh) = (Beside::default(), Beside::default());
        let read = |frame: &[u8], beside: &mut Beside| {
            let options = ParseOptions::default();
            wire::parse(LinkType::Ethernet, frame, 0, Nanos(1), PortId(0), &options, beside)
        };
        let _ = read(&before.frame(), &mut used);
        prop_assert_eq!(read(&nested.frame(), &mut used), read(&nested.frame(), &mut fresh));
        prop_assert_eq!(&used, &fresh);
        prop_assert_ne!(used, Beside::default());
    }
}
