//! Fragments in any order: every packet is emitted once, and a datagram whose first part came is one flow.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

use std::collections::HashMap;

use dataplane::fragments::{Emit, FragmentOptions, Fragments, LIFETIME_NS, MAX_HELD_PARTS};
use dataplane::ledger::Tally;
use dataplane::reason::Anomaly;
use dataplane::wire::Fragment;
use flowtable::{
    Burst, Direction, Endpoint, Family, FirstPacket, FlowKey, Nanos, Packet, Role, TcpSegment, Tunnel,
    TunnelKind,
};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

/// Octets of a part but the last; parts begin at multiples of it.
const PART: u32 = 64;
const SEED: u64 = 3;

/// Part `number` of `parts` of datagram `id`, numbered by `bytes` so that a packet can be told from every other.
fn part(id: u32, number: u32, parts: u32, at: u64, bytes: u32) -> (Fragment, Packet) {
    let ports = if number == 0 { [1_000 + u16::try_from(id).unwrap(), 53] } else { [0, 0] };
    let source = Endpoint { address: 10, port: ports[0] };
    let destination = Endpoint { address: 20, port: ports[1] };
    let flow = FlowKey::canonical(Family::V4, 17, source, destination);
    let fragment = Fragment {
        source: 10,
        destination: 20,
        family: Family::V4,
        protocol: 17,
        id,
        offset: number * PART,
        length: PART,
        more: number + 1 < parts,
        flow,
    };
    let packet = Packet {
        key: flow.0,
        direction: flow.1,
        at: Nanos(at),
        bytes,
        role: Role::Unknown,
        tcp: TcpSegment::default(),
        first: FirstPacket::default(),
        tunnel: 0,
    };
    (fragment, packet)
}

/// Fragments, and everything that came out of them.
struct Bench {
    fragments: Fragments,
    burst: Burst,
    tally: Tally,
}

impl Bench {
    fn new(options: FragmentOptions) -> Bench {
        let burst = Burst::with_capacity(1 << 14);
        Bench { fragments: Fragments::new(options, SEED), burst, tally: Tally::default() }
    }

    fn take(&mut self, (fragment, packet): (Fragment, Packet)) {
        let mut emit = Emit { burst: &mut self.burst, tally: &mut self.tally };
        self.fragments.take(&fragment, packet, None, &mut emit);
    }

    fn expire(&mut self, at: u64) -> bool {
        let mut emit = Emit { burst: &mut self.burst, tally: &mut self.tally };
        self.fragments.expire(Nanos(at), &mut emit)
    }

    fn give_up_all(&mut self) {
        let mut emit = Emit { burst: &mut self.burst, tally: &mut self.tally };
        self.fragments.give_up_all(&mut emit);
    }

    /// Source port and number of every packet emitted, in order.
    fn emitted(&self) -> Vec<(u16, u32)> {
        self.burst.packets().map(|packet| (packet.key.sender(packet.direction).port, packet.bytes)).collect()
    }

    fn count(&self, anomaly: Anomaly) -> u32 {
        self.tally.anomalies[anomaly.index()]
    }
}

#[test]
fn later_parts_take_the_flow_of_the_first_in_the_order_they_came() {
    let mut bench = Bench::new(FragmentOptions::default());
    bench.take(part(7, 2, 4, 100, 1));
    bench.take(part(7, 1, 4, 101, 2));
    assert_eq!((bench.emitted(), bench.fragments.held()), (vec![], 2));
    bench.take(part(7, 0, 4, 102, 3));
    bench.take(part(7, 3, 4, 103, 4));
    assert_eq!(bench.emitted(), [(1_007, 1), (1_007, 2), (1_007, 3), (1_007, 4)]);
    assert_eq!(bench.burst.packets().map(|packet| packet.at.0).collect::<Vec<_>>(), [100, 101, 102, 103]);
    assert_eq!((bench.fragments.datagrams(), bench.fragments.held()), (0, 0));
    // Complete, hence forgotten: the id is free for another datagram.
    bench.take(part(7, 1, 4, 104, 5));
    assert_eq!(bench.fragments.held(), 1);
}

#[test]
fn a_part_whose_first_one_does_not_come_in_time_is_an_orphan_of_the_flow_without_ports() {
    let mut bench = Bench::new(FragmentOptions::default());
    bench.take(part(7, 1, 4, 100, 1));
    // Stamped earlier than the one before: its datagram lives no shorter for it.
    bench.take(part(8, 1, 4, 50, 2));
    assert!(!bench.expire(99 + LIFETIME_NS));
    assert_eq!(bench.emitted(), []);
    assert!(!bench.expire(100 + LIFETIME_NS));
    assert_eq!(bench.emitted(), [(0, 1), (0, 2)]);
    assert_eq!(bench.count(Anomaly::FragmentOrphan), 2);
    bench.take(part(7, 0, 4, 101 + LIFETIME_NS, 3));
    assert!(!bench.expire(200 + 2 * LIFETIME_NS));
    bench.take(part(7, 1, 4, 201 + 2 * LIFETIME_NS, 4));
    assert_eq!(bench.emitted()[2..], [(1_007, 3)], "the flow of the first part is forgotten as well");
}

#[test]
fn an_id_used_again_before_all_parts_came_is_another_datagram() {
    let mut bench = Bench::new(FragmentOptions::default());
    bench.take(part(7, 0, 3, 100, 1));
    let (mut fragment, mut packet) = part(8, 0, 3, 101, 2);
    (fragment.id, packet.bytes) = (7, 2);
    bench.take((fragment, packet));
    bench.take(part(7, 1, 3, 102, 3));
    assert_eq!(bench.emitted(), [(1_007, 1), (1_008, 2), (1_008, 3)]);
    assert_eq!(bench.count(Anomaly::FragmentOverlap), 0);
}

#[test]
fn a_packet_that_is_its_only_part_leaves_others_with_its_id_alone() {
    let mut bench = Bench::new(FragmentOptions::default());
    bench.take(part(7, 1, 3, 100, 1));
    bench.take(part(7, 0, 1, 101, 2));
    assert_eq!((bench.emitted(), bench.fragments.held()), (vec![(1_007, 2)], 1));
}

#[test]
fn parts_keep_their_tunnel_and_take_the_icmp_type_of_the_first() {
    let mut bench = Bench::new(FragmentOptions::default());
    let outer = Endpoint { address: 1, port: 0 };
    let tunnel = Tunnel {
        kind: TunnelKind::Gre,
        family: Family::V4,
        protocol: 47,
        source: outer,
        destination: outer,
        id: None,
        key: Some(5),
        spi: None,
        sender_index: None,
        receiver_index: None,
    };
    let (later, first) = (part(7, 1, 2, 100, 1), part(7, 0, 2, 101, 2));
    let mut emit = Emit { burst: &mut bench.burst, tally: &mut bench.tally };
    bench.fragments.take(&later.0, later.1, Some(tunnel), &mut emit);
    let echo = FirstPacket { icmp: Some((8, 0)), ..FirstPacket::default() };
    bench.fragments.take(&first.0, Packet { first: echo, ..first.1 }, None, &mut emit);
    let packets: Vec<_> = bench.burst.packets().collect();
    assert_eq!(packets[0].first.icmp, Some((8, 0)));
    assert_eq!(bench.burst.tunnel_of(&packets[0]), Some(tunnel));
    assert_eq!(bench.burst.tunnel_of(&packets[1]), None);
}

#[test]
fn the_oldest_are_given_up_where_room_is_needed() {
    let mut bench = Bench::new(FragmentOptions { datagrams: 2, held: 3 });
    bench.take(part(1, 0, 9, 100, 1));
    bench.take(part(2, 1, 9, 101, 2));
    bench.take(part(3, 1, 9, 102, 3));
    // Datagram 1 had to go: its later parts begin one anew, for which datagram 2 goes.
    bench.take(part(1, 1, 9, 103, 4));
    assert_eq!(bench.emitted(), [(1_001, 1), (0, 2)]);
    bench.take(part(1, 2, 9, 104, 5));
    // The pool is full and its oldest datagram is the one that needs room.
    bench.take(part(3, 2, 9, 105, 6));
    assert_eq!(bench.emitted()[2..], [(0, 3)]);
    assert_eq!((bench.fragments.held(), bench.fragments.datagrams()), (3, 2));
    assert_eq!((bench.count(Anomaly::FragmentTableFull), bench.count(Anomaly::FragmentOrphan)), (3, 2));
}

#[test]
fn a_datagram_holds_a_bounded_number_of_parts() {
    let mut bench = Bench::new(FragmentOptions::default());
    for number in 0..100 {
        bench.take(part(7, number + 1, 200, 100, number));
    }
    assert_eq!(bench.fragments.held(), MAX_HELD_PARTS);
    assert_eq!(bench.count(Anomaly::FragmentOrphan), 100 - MAX_HELD_PARTS);
    bench.give_up_all();
    assert_eq!((bench.burst.len(), bench.fragments.held(), bench.fragments.datagrams()), (100, 0, 0));
}

#[test]
fn nothing_is_allocated_after_start() {
    let mut bench = Bench::new(FragmentOptions { datagrams: 64, held: 128 });
    let allocations = allocation_counter::measure(|| {
        for round in 0..2_000u32 {
            bench.take(part(round % 97, round % 7, 9, u64::from(round) * (LIFETIME_NS / 100), round));
            if round % 64 == 0 {
                bench.burst.clear();
            }
        }
        bench.give_up_all();
    });
    assert_eq!(allocations.count_total, 0);
}

/// A part of one of several datagrams: its id, its number, and whether it comes once, twice or not at all.
type Sent = (u32, u32, u32);

/// Parts of datagrams, shuffled.
fn traffic() -> impl Strategy<Value = (Vec<u32>, Vec<Sent>)> {
    vec(2u32..9, 1..12).prop_flat_map(|sizes| {
        let numbers = |(id, parts): (usize, &u32)| {
            let id = u32::try_from(id).unwrap();
            (0..*parts).map(move |number| (id, number))
        };
        let all: Vec<_> = sizes.iter().enumerate().flat_map(numbers).collect();
        let times = vec(0u32..8, all.len());
        let sent = times.prop_map(move |times| {
            let times = times.into_iter().map(|times| if times < 2 { times * 2 } else { 1 });
            all.iter().zip(times).map(|(&(id, number), times)| (id, number, times)).collect::<Vec<_>>()
        });
        (Just(sizes), sent.prop_shuffle())
    })
}

proptest! {
    #[test]
    fn every_part_is_emitted_once_and_those_of_a_datagram_are_one_flow((sizes, sent) in traffic()) {
        let mut bench = Bench::new(FragmentOptions::default());
        // A part sent twice comes twice in a row, so that the datagram is not complete in between, unless it is the last.
        let mut packets = 0;
        let mut of = HashMap::new();
        let mut left: HashMap<u32, u32> = sent.iter().fold(HashMap::new(), |mut left, (id, _, times)| {
            *left.entry(*id).or_default() += u32::from(*times > 0);
            left
        });
        for (id, number, times) in &sent {
            let lost = sent.iter().any(|(other, _, times)| other == id && *times == 0);
            *left.entry(*id).or_default() -= u32::from(*times > 0);
            let last = !lost && left[id] == 0;
            for _ in 0..if last { (*times).min(1) } else { *times } {
                bench.take(part(*id, *number, sizes[*id as usize], 1_000 + u64::from(packets), packets));
                of.insert(packets, *id);
                packets += 1;
            }
        }
        bench.give_up_all();
        let mut emitted = bench.emitted();
        for (port, packet) in &emitted {
            let id = of[packet];
            let first_came = sent.contains(&(id, 0, 1)) || sent.contains(&(id, 0, 2));
            prop_assert_eq!(u32::from(*port), if first_came { 1_000 + id } else { 0 });
        }
        emitted.sort_by_key(|(_, packet)| *packet);
        prop_assert!(emitted.iter().map(|(_, packet)| *packet).eq(0..packets));
        prop_assert_eq!((bench.fragments.held(), bench.fragments.datagrams()), (0, 0));
    }

    #[test]
    fn whatever_comes_stays_within_bounds_and_loses_no_packet(
        parts in vec((0u32..5, 0u32..70_000, 0u32..70_000, any::<bool>(), 0..2 * LIFETIME_NS), 0..300),
        datagrams in 0u32..6,
        held in 0u32..12,
    ) {
        let mut bench = Bench::new(FragmentOptions { datagrams, held });
        let sent = parts.len();
        for (number, (id, offset, length, more, at)) in parts.into_iter().enumerate() {
            let (fragment, packet) = part(id, u32::from(offset > 9_000), 9, at, u32::try_from(number).unwrap());
            let offset = if offset > 9_000 { offset } else { 0 };
            bench.take((Fragment { offset, length, more, ..fragment }, packet));
            prop_assert!(bench.fragments.held() <= held.max(1));
            prop_assert!(bench.fragments.datagrams() <= datagrams.max(1) as usize);
            prop_assert_eq!(bench.burst.len() + bench.fragments.held() as usize, number + 1);
        }
        bench.give_up_all();
        prop_assert_eq!(bench.burst.len(), sent);
        prop_assert!(bench.burst.packets().all(|packet| packet.direction == Direction::LoToHi));
    }
}
