//! Frames through the parser by any options, and then through the whole intake into a small table: fragments, duplicates, a
//! filter, sweeps, retirements. What comes out in records is what was counted, and every frame is accounted for.
//!
//! The input is a head of eight octets (see [`Plan::of`]), and then frames: two octets of length, one of what the capture cut
//! off, one of what happens before the frame (see [`Bench::before`]), the frame.

use std::collections::HashMap;
use std::sync::OnceLock;

use dataplane::dedup::DedupOptions;
use dataplane::filter::CaptureFilter;
use dataplane::fragments::FragmentOptions;
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::{CountersWriter, WorkerCounters};
use dataplane::reason::{Anomaly, Reason};
use dataplane::wire::{self, Beside, ByteCount, LinkType, ParseOptions, Parsed, TunnelOptions};
use flowtable::{
    EventDetail, Events, Family, FlowKey, FlowRecord, MAX_BURST, Nanos, PortId, Sweeper, TableConfig,
    TcpSegment, Timeouts, Writer, protocol, table,
};

use crate::bytes::Bytes;

const SEED: u64 = 7;
/// Frames of one input, at most.
const MAX_FRAMES: usize = 256;
/// Octets of a frame, at most, and one more.
const FRAME_LIMIT: u16 = 2_048;
/// Times the first frame can come at; the last one lets clocks come to their end.
const STARTS: [u64; 4] = [0, 1_700_000_000_000_000_000, 1 << 63, u64::MAX - 200_000_000_000];
/// Steps of time between two frames.
const STEPS: [u64; 8] = [0, 1, 1_000, 1_000_000, 100_000_000, 1_000_000_000, 31_000_000_000, 61_000_000_000];

/// How the frames of an input are taken in.
struct Plan {
    link: LinkType,
    start: u64,
    intake: IntakeOptions,
    table: TableConfig,
}

impl Plan {
    fn of(input: &mut Bytes<'_>) -> Plan {
        let link = input.link();
        let (flags, kinds) = (input.u8(), input.u16());
        let [capacity, fragments, details, clock] = [input.u8(), input.u8(), input.u8(), input.u8()];
        let has = |bit: u8| flags & 1 << bit != 0;
        let tunnels = TunnelOptions { kinds, mpls: !has(0), pppoe: !has(1), ..TunnelOptions::default() };
        let parse = ParseOptions {
            key_vlan: !has(2),
            key_tunnel: !has(3),
            count: if has(4) { ByteCount::Frame } else { ByteCount::Ip },
            tunnels,
        };
        let window = DedupOptions { window_ns: 1_000_000, packets: 16 };
        Plan {
            link,
            start: STARTS[usize::from(clock % 4)],
            intake: IntakeOptions {
                parse,
                filter: has(5).then(|| filter().clone()),
                dedup: has(6).then_some(window),
                fragments: FragmentOptions {
                    datagrams: u32::from(fragments & 15),
                    held: u32::from(fragments >> 4),
                },
            },
            table: TableConfig {
                capacity: u32::from(capacity % 64),
                seed: SEED,
                details: u32::from(details % 32),
                events: if has(7) { EventDetail::All } else { EventDetail::State },
                ..TableConfig::default()
            },
        }
    }
}

fn filter() -> &'static CaptureFilter {
    static FILTER: OnceLock<CaptureFilter> = OnceLock::new();
    FILTER.get_or_init(|| {
        CaptureFilter::compile("not udp port 9 and not tcp[13] & 32 != 0", &[]).expect("it is one")
    })
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let plan = Plan::of(&mut input);
    let mut bench = Bench::new(&plan);
    let mut left = Beside::default();
    for _ in 0..MAX_FRAMES {
        if input.is_empty() {
            break;
        }
        let (length, cut, before) = (input.u16(), input.u8(), input.u8());
        let frame = input.slice(usize::from(length % FRAME_LIMIT));
        let wire_len = octets(frame) + 4 * u32::from(cut);
        bench.before(before);
        let parsed = parse(&plan, frame, wire_len, bench.now, &mut left);
        bench.take(&plan, frame, wire_len, parsed);
    }
    bench.finish(&plan);
}

/// Parses a frame, and says what holds for any. `left` is what the packet before left.
fn parse(plan: &Plan, frame: &[u8], wire_len: u32, at: Nanos, left: &mut Beside) -> Result<Parsed, Reason> {
    let options = &plan.intake.parse;
    let read = |link, frame, wire_len, options: &ParseOptions, beside: &mut Beside| {
        wire::parse(link, frame, wire_len, at, PortId(3), options, beside)
    };
    let mut beside = Beside::default();
    let parsed = read(plan.link, frame, wire_len, options, &mut beside);
    assert_eq!(read(plan.link, frame, wire_len, options, left), parsed, "what was left does not matter");
    if let Ok(parsed) = &parsed {
        check(options, wire_len, at, parsed, &beside);
        assert!(!parsed.beside || *left == beside);
    }

    let closed = ParseOptions {
        tunnels: TunnelOptions { kinds: 0, mpls: false, pppoe: false, ..options.tunnels },
        ..*options
    };
    let mut around = Beside::default();
    let outer = read(plan.link, frame, wire_len, &closed, &mut around);
    match (&outer, &parsed) {
        (Ok(outer), Ok(parsed)) => {
            assert_eq!((around.tunnel, outer.packet.key.tunnel), (None, 0));
            if beside.tunnel.is_none() {
                assert_eq!(outer, parsed);
            }
        }
        (Ok(_), Err(reason)) => panic!("entering tunnels lost the packet: {reason:?}"),
        (Err(reason), Ok(_)) => assert!(matches!(reason, Reason::Mpls | Reason::Pppoe), "{reason:?}"),
        (Err(_), Err(_)) => {}
    }

    // A capture that is cut short says the same or less.
    let cut = &frame[..frame.len() / 2];
    if let Ok(less) = read(plan.link, cut, wire_len, &closed, &mut Beside::default()) {
        let whole = outer.expect("the headers are there").packet;
        let less = less.packet;
        assert_eq!(sorted(&less.key), sorted(&whole.key));
        if less.key.family == Family::V4 {
            assert_eq!((less.bytes, less.key.protocol), (whole.bytes, whole.key.protocol));
            assert!(less.key == whole.key || (less.key.lo_port, less.key.hi_port) == (0, 0));
        }
    }

    // The short way for TCP in Ethernet gives what the general one does, which begins at the IP header here.
    if let Ok(mut parsed) = parsed
        && plan.link == LinkType::Ethernet
        && frame.get(12..14) == Some(&[8, 0])
    {
        let mut below = Beside::default();
        let bare = read(LinkType::Raw, &frame[14..], wire_len - 14, options, &mut below);
        let mut bare = bare.expect("it is an IPv4 packet");
        (bare.packet.first.source_mac, parsed.packet.first.source_mac) = (None, None);
        if options.count == ByteCount::Frame {
            bare.packet.bytes += 14;
        }
        assert_eq!(bare, parsed);
        assert!(!parsed.beside || below == beside);

        // The way back is of the same flow.
        if let Some(back) = turned(frame) {
            let mut behind = Beside::default();
            let back = read(plan.link, &back, wire_len, options, &mut behind)
                .expect("it is the same but for its ends");
            if !parsed.beside && !back.beside {
                assert_eq!(back.packet.key, parsed.packet.key);
                let ends =
                    [parsed.packet.direction, back.packet.direction].map(|way| back.packet.key.sender(way));
                assert!(ends[0] == ends[1] || parsed.packet.direction == back.packet.direction.flipped());
            }
        }
    }
    parsed
}

/// The same frame from the other end, where it is one of TCP or UDP in IPv4 without options.
fn turned(frame: &[u8]) -> Option<Vec<u8>> {
    if frame.len() < 38 || frame[14] != 0x45 || !matches!(frame[23], protocol::TCP | protocol::UDP) {
        return None;
    }
    let [before, ends, behind] = [&frame[..26], &frame[26..38], &frame[38..]];
    Some([before, &ends[4..8], &ends[..4], &ends[10..], &ends[8..10], behind].concat())
}

fn check(options: &ParseOptions, wire_len: u32, at: Nanos, parsed: &Parsed, beside: &Beside) {
    let (packet, key) = (&parsed.packet, &parsed.packet.key);
    assert_eq!(parsed.beside, beside.tunnel.is_some() || beside.fragment.is_some() || beside.quote.is_some());
    assert_eq!((packet.at, packet.first.port, packet.tunnel), (at, PortId(3), 0));
    check_key(options, key);
    let ends = [packet.direction, packet.direction.flipped()].map(|way| key.sender(way));
    let (again, direction) = FlowKey::canonical(key.family, key.protocol, ends[0], ends[1]);
    assert_eq!(sorted(&again), sorted(key));
    assert!(direction == packet.direction || ends[0] == ends[1]);
    match options.count {
        ByteCount::Frame => assert_eq!(packet.bytes, wire_len),
        ByteCount::Ip => assert!(packet.bytes >= if key.family == Family::V4 { 20 } else { 40 }),
    }
    if key.protocol == protocol::TCP {
        assert!(options.count == ByteCount::Frame || packet.tcp.payload <= packet.bytes);
    } else {
        assert_eq!(packet.tcp, TcpSegment::default());
    }
    if let Some(tunnel) = beside.tunnel {
        assert!(options.tunnels.enters(tunnel.kind));
        assert!(key.tunnel == 0 || key.tunnel == tunnel.key_word());
    } else {
        assert_eq!(key.tunnel, 0);
    }
    if let Some(fragment) = beside.fragment {
        check_key(options, &fragment.flow.0);
        assert_eq!(fragment.flow.0.sender(fragment.flow.1).address, fragment.source);
        assert!(fragment.offset.is_multiple_of(8));
    }
    if let Some(quote) = beside.quote {
        check_key(options, &quote.key);
        assert_eq!((quote.at, quote.key.vlans, quote.key.tunnel), (at, key.vlans, key.tunnel));
    }
}

fn check_key(options: &ParseOptions, key: &FlowKey) {
    assert!((key.lo_address, key.lo_port) <= (key.hi_address, key.hi_port));
    assert!(key.family == Family::V6 || key.hi_address <= u128::from(u32::MAX));
    assert!(options.key_vlan || key.vlans == 0);
    assert!(key.vlans < 1 << 24);
    assert!(options.key_tunnel || key.tunnel == 0);
}

/// The addresses of a key in their order.
fn sorted(key: &FlowKey) -> [u128; 2] {
    [key.lo_address.min(key.hi_address), key.lo_address.max(key.hi_address)]
}

/// A worker and a control thread by turns.
struct Bench {
    intake: Intake,
    writer: Writer,
    sweeper: Sweeper,
    counters: CountersWriter,
    figures: std::sync::Arc<WorkerCounters>,
    records: Vec<FlowRecord>,
    now: Nanos,
    gathered: usize,
    /// Packets and octets the parser gave, packets there is a reason for, and what was odd about others.
    parsed: [u64; 2],
    refused: [u64; Reason::COUNT],
    anomalies: [u64; Anomaly::COUNT],
}

impl Bench {
    fn new(plan: &Plan) -> Bench {
        let (writer, sweeper) = table(&plan.table).expect("memory for a few flows");
        let (counters, figures) = CountersWriter::new();
        Bench {
            intake: Intake::new(&plan.intake, SEED),
            writer,
            sweeper,
            counters,
            figures,
            records: Vec::new(),
            now: Nanos(plan.start),
            gathered: 0,
            parsed: [0; 2],
            refused: [0; Reason::COUNT],
            anomalies: [0; Anomaly::COUNT],
        }
    }

    /// Lets time pass and does what is due: three bits of the time, one of its direction, three of what is done.
    fn before(&mut self, octet: u8) {
        let step = STEPS[usize::from(octet & 7)];
        self.now.0 =
            if octet & 0x80 != 0 { self.now.0.saturating_sub(step) } else { self.now.0.saturating_add(step) };
        match octet >> 4 & 7 {
            0..=2 => {}
            3 => self.commit(),
            4 => {
                self.commit();
                self.intake.expire(self.now, &mut self.writer, &mut self.counters);
            }
            5 => {
                self.sweeper.sweep(self.now, &Timeouts::default(), &mut self.records);
            }
            6 => {
                self.sweeper.flush(self.now, &mut self.records);
            }
            _ => {
                self.writer.serve_retirements(32);
            }
        }
        if octet & 8 != 0 {
            self.sweeper.drain_handovers(&mut self.records);
        }
    }

    fn take(&mut self, plan: &Plan, frame: &[u8], wire_len: u32, parsed: Result<Parsed, Reason>) {
        let filter = plan.intake.filter.as_ref();
        let passes = filter.is_none_or(|filter| filter.passes(plan.link, frame, wire_len));
        match parsed {
            _ if !passes => self.refused[Reason::Filtered.index()] += 1,
            Ok(parsed) => {
                if let Some(anomaly) = parsed.anomaly {
                    self.anomalies[anomaly.index()] += 1;
                }
                self.parsed[0] += 1;
                self.parsed[1] += u64::from(parsed.packet.bytes);
            }
            Err(reason) => self.refused[reason.index()] += 1,
        }
        self.intake.take(plan.link, frame, wire_len, self.now, PortId(3));
        self.gathered += 1;
        if self.gathered == MAX_BURST || self.intake.is_full() {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.gathered = 0;
        self.intake.commit(&mut self.writer, &mut self.counters);
        assert!(self.figures.read().is_balanced());
        let stats = self.writer.stats();
        assert_eq!(stats.opened - stats.reused, stats.live + stats.freed + stats.evicted);
        assert!(stats.live <= stats.capacity);
    }

    fn finish(mut self, plan: &Plan) {
        self.intake.finish(&mut self.writer, &mut self.counters);
        self.commit();
        self.sweeper.flush(self.now, &mut self.records);
        let figures = self.figures.read();
        assert_eq!(figures.held, 0);
        let mut sums = [0; 2];
        for record in &self.records {
            sums[0] += record.to_destination.packets_delta + record.to_source.packets_delta;
            sums[1] += record.to_destination.bytes_delta + record.to_source.bytes_delta;
        }
        assert_eq!(sums[0], figures.in_flows, "every packet in a flow is in a record");
        if figures.in_flows == self.parsed[0] {
            assert_eq!(sums[1], self.parsed[1]);
        }
        if plan.intake.dedup.is_none() {
            let full = figures.not_in_flows[Reason::TableFull.index()];
            assert_eq!(figures.in_flows + full, self.parsed[0]);
            self.refused[Reason::TableFull.index()] = full;
            assert_eq!(figures.not_in_flows, self.refused);
            for anomaly in [Anomaly::FragmentOverlap, Anomaly::FragmentOrphan, Anomaly::FragmentTableFull] {
                self.anomalies[anomaly.index()] = figures.anomalies[anomaly.index()];
            }
            assert!(full > 0 || figures.anomalies == self.anomalies);
        }
        check_records(&self.records, plan.start != STARTS[3]);
    }
}

/// What holds for the records of a flow; `distinct` where no two flows of a key may have one start.
fn check_records(records: &[FlowRecord], distinct: bool) {
    let mut last: HashMap<(FlowKey, u64), &FlowRecord> = HashMap::new();
    for record in records {
        let (there, back) = (record.to_destination, record.to_source);
        assert!(record.flow_start <= record.start && record.start <= record.end);
        assert!(there.packets_delta + back.packets_delta > 0);
        assert_eq!(record.tcp.is_some(), record.key.protocol == protocol::TCP);
        assert!(record.events.kept.len() <= Events::MAX);
        let before = last.insert((record.key, record.flow_start.0), record);
        match before.filter(|before| distinct || record.number > before.number) {
            Some(before) => {
                assert_eq!(record.number, before.number + 1);
                assert_eq!((record.start, record.forward), (before.end, before.forward));
                for (now, then) in [(there, before.to_destination), (back, before.to_source)] {
                    assert_eq!(now.packets_total, then.packets_total + now.packets_delta);
                    assert_eq!(now.bytes_total, then.bytes_total + now.bytes_delta);
                }
            }
            None => {
                assert_eq!((record.number, record.start), (0, record.flow_start));
                assert_eq!(
                    (there.packets_delta, back.packets_delta),
                    (there.packets_total, back.packets_total)
                );
            }
        }
    }
}

fn octets(frame: &[u8]) -> u32 {
    u32::try_from(frame.len()).unwrap_or(u32::MAX)
}
