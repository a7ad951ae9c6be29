//! The stitcher behind real tables: each direction of every conversation is counted by another worker, or not.

use std::collections::HashMap;

use flowtable::{
    Endpoint, Family, FirstPacket, FlowKey, FlowRecord, Nanos, Packet, Role, Sweeper, TableConfig,
    TcpSegment, Timeouts, Writer, protocol, table, tcp_flag,
};
use proptest::prelude::*;
use tapspan::stitch::{StitchConfig, Stitcher};

const MS: u64 = 1_000_000;
const WORKERS: usize = 2;
const SWEEP_MS: u64 = 500;

/// A packet of conversation `flow`, from the client or back; TCP where it has flags.
fn packet(flow: u32, back: bool, at_ms: u64, tcp_flags: Option<u8>, sequence: u32) -> Packet {
    let client = Endpoint { address: u128::from(1 + flow), port: 40_000 };
    // Some servers sort below their clients.
    let server = Endpoint { address: if flow.is_multiple_of(2) { 1_000 } else { 0 }, port: 443 };
    let (from, to) = if back { (server, client) } else { (client, server) };
    let protocol = if tcp_flags.is_some() { protocol::TCP } else { protocol::UDP };
    let (key, direction) = FlowKey::canonical(Family::V4, protocol, from, to);
    let flags = tcp_flags.unwrap_or(0);
    let role = match flags & (tcp_flag::SYN | tcp_flag::ACK) {
        tcp_flag::SYN => Role::Source,
        both if both == tcp_flag::SYN | tcp_flag::ACK => Role::Destination,
        _ => Role::Unknown,
    };
    let tcp = TcpSegment { sequence, acknowledgment: sequence + 1, window: 1_000, flags, payload: 0 };
    let first = FirstPacket::default();
    Packet { key, direction, at: Nanos(at_ms * MS), bytes: 100 + flow, role, tcp, first, tunnel: 0 }
}

struct Probe {
    tables: Vec<(Writer, Sweeper)>,
    stitcher: Stitcher,
    records: Vec<FlowRecord>,
}

impl Probe {
    fn new(table_capacity: u32, capacity: u32) -> Probe {
        let config = TableConfig { capacity: table_capacity, seed: 7, ..TableConfig::default() };
        let stitch = StitchConfig { hold_ns: 2 * SWEEP_MS * MS, capacity, seed: 7 };
        Probe {
            tables: (0..WORKERS).map(|_| table(&config).expect("memory for a small table")).collect(),
            stitcher: Stitcher::new(stitch, Timeouts::default()),
            records: Vec::new(),
        }
    }

    fn sweep(&mut self, now: Nanos) {
        for (worker, (_, sweeper)) in (0..).zip(&mut self.tables) {
            let mut half = self.stitcher.half(worker, now, &mut self.records);
            sweeper.sweep(now, &Timeouts::default(), &mut half);
        }
        self.stitcher.expire(now, &mut self.records);
    }

    fn flush(&mut self, now: Nanos) {
        for (worker, (_, sweeper)) in (0..).zip(&mut self.tables) {
            sweeper.flush(now, &mut self.stitcher.half(worker, now, &mut self.records));
        }
    }
}

/// Packets and octets of each key by canonical direction.
type Sums = HashMap<FlowKey, [[u64; 2]; 2]>;

fn add(sums: &mut Sums, key: FlowKey, side: usize, packets: u64, bytes: u64) {
    let sum = sums.entry(key).or_default();
    sum[side][0] += packets;
    sum[side][1] += bytes;
}

fn sums_of(records: &[FlowRecord]) -> Sums {
    let mut sums = Sums::new();
    for record in records {
        let forward = record.forward as usize;
        let (there, back) = (record.to_destination, record.to_source);
        add(&mut sums, record.key, forward, there.packets_delta, there.bytes_delta);
        add(&mut sums, record.key, 1 - forward, back.packets_delta, back.bytes_delta);
    }
    sums
}

/// Each identity is one chain of records.
fn check_chains(records: &[FlowRecord]) -> Result<(), TestCaseError> {
    let mut last: HashMap<(FlowKey, Nanos), &FlowRecord> = HashMap::new();
    for record in records {
        prop_assert!(record.start <= record.end);
        prop_assert!(record.to_destination.packets_delta + record.to_source.packets_delta > 0);
        let before = last.insert((record.key, record.flow_start), record);
        prop_assert_eq!(record.number, before.map_or(0, |before| before.number + 1));
        prop_assert_eq!(record.start, before.map_or(record.flow_start, |before| before.end));
        if let Some(before) = before {
            prop_assert_eq!((record.forward, record.initiator), (before.forward, before.initiator));
            prop_assert_eq!(record.first, before.first);
        }
        let ways = [
            (record.to_destination, before.map(|before| before.to_destination)),
            (record.to_source, before.map(|before| before.to_source)),
        ];
        for (now, then) in ways {
            let then = then.unwrap_or_default();
            prop_assert_eq!(now.packets_total, then.packets_total + now.packets_delta);
            prop_assert_eq!(now.bytes_total, then.bytes_total + now.bytes_delta);
        }
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Packet { flow: u32, back: bool, tcp_flags: Option<u8>, sequence: u32 },
    Sweep,
    Retire(usize),
    Flush,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let packet = (0u32..12, any::<bool>(), any::<Option<u8>>(), 0u32..4)
        .prop_map(|(flow, back, tcp_flags, sequence)| Step::Packet { flow, back, tcp_flags, sequence });
    prop::collection::vec(
        prop_oneof![
            12 => packet,
            3 => Just(Step::Sweep),
            2 => (0usize..6).prop_map(Step::Retire),
            1 => Just(Step::Flush),
            2 => (0u64..1_500).prop_map(Step::Wait),
            1 => (0u64..70_000).prop_map(Step::Wait),
        ],
        1..400,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_packet_is_in_one_record_and_every_conversation_a_chain(
        steps in steps(),
        table_capacity in 1u32..30,
        capacity in 1u32..40,
        split_below in 0u32..14,
    ) {
        let mut probe = Probe::new(table_capacity, capacity);
        let (mut sent, mut now) = (Sums::new(), 1_000);
        for step in steps {
            match step {
                Step::Packet { flow, back, tcp_flags, sequence } => {
                    let packet = packet(flow, back, now, tcp_flags, sequence);
                    let worker = if flow < split_below { usize::from(back) } else { flow as usize % WORKERS };
                    if probe.tables[worker].0.update_burst(&[packet]).in_flows == 1 {
                        add(&mut sent, packet.key, packet.direction as usize, 1, u64::from(packet.bytes));
                    }
                    now += 1;
                }
                Step::Sweep => probe.sweep(Nanos(now * MS)),
                Step::Retire(limit) => {
                    for (writer, _) in &mut probe.tables {
                        writer.serve_retirements(limit);
                    }
                }
                Step::Flush => probe.flush(Nanos(now * MS)),
                Step::Wait(ms) => now += ms,
            }
            prop_assert!(probe.stitcher.stats().conversations <= u64::from(capacity));
        }
        probe.flush(Nanos(now * MS));
        probe.stitcher.finish(&mut probe.records);
        prop_assert_eq!(sums_of(&probe.records), sent);
        check_chains(&probe.records)?;
        let stats = probe.stitcher.stats();
        prop_assert_eq!((stats.emitted, stats.held), (probe.records.len() as u64, 0));
    }

    #[test]
    fn halves_active_in_the_same_windows_make_one_record_a_window(
        flows in prop::collection::vec((0u64..20_000, 1u64..400, 200u64..5_000, any::<bool>()), 1..12),
        seconds in 30u64..240,
    ) {
        let mut probe = Probe::new(64, 64);
        let mut events = Vec::new();
        for (flow, &(start, rtt, every, tcp)) in (0u32..).zip(&flows) {
            for (turn, at) in (start..seconds * 1_000).step_by(usize::try_from(every).unwrap()).enumerate() {
                let flags = |there| tcp.then_some(if turn == 0 { there } else { tcp_flag::ACK });
                events.push((at, packet(flow, false, at, flags(tcp_flag::SYN), 0)));
                let at = at + rtt;
                events.push((at, packet(flow, true, at, flags(tcp_flag::SYN | tcp_flag::ACK), 0)));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        let mut swept = 0;
        for (at, packet) in events {
            while swept + SWEEP_MS <= at {
                swept += SWEEP_MS;
                probe.sweep(Nanos(swept * MS));
            }
            probe.tables[packet.direction as usize].0.update_burst(&[packet]);
        }
        probe.flush(Nanos((swept + SWEEP_MS) * MS));
        probe.stitcher.finish(&mut probe.records);
        check_chains(&probe.records)?;
        let mut chains: HashMap<FlowKey, Vec<&FlowRecord>> = HashMap::new();
        for record in &probe.records {
            prop_assert_eq!(record.source().1, 40_000, "the client is the source");
            chains.entry(record.key).or_default().push(record);
        }
        for chain in chains.values() {
            prop_assert!(chain.iter().all(|record| record.flow_start == chain[0].flow_start));
            // The last window is cut short, maybe between a packet and its answer.
            for record in &chain[..chain.len() - 1] {
                prop_assert!(record.to_destination.packets_delta > 0 && record.to_source.packets_delta > 0);
                let window_ms = record.end.since(record.start) / MS;
                prop_assert!((54_000..=66_000).contains(&window_ms), "{} ms a window", window_ms);
            }
        }
    }
}
