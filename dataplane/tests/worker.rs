//! The worker as a whole: two ports, one table, no allocation after start.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

use std::sync::atomic::AtomicBool;

use dataplane::clock::ManualClock;
use dataplane::dedup::DedupOptions;
use dataplane::filter::CaptureFilter;
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::CountersWriter;
use dataplane::reason::Reason;
use dataplane::wire::LinkType;
use dataplane::worker::{PacketSource, Worker};
use flowtable::{MAX_BURST, Nanos, PortId, Sweeper, TableConfig, Timeouts, table};

/// A queue that gives the frames of a list in bursts, a number of times over.
struct Scripted {
    frames: Vec<Vec<u8>>,
    rounds: usize,
    next: usize,
    burst: std::ops::Range<usize>,
    port: PortId,
}

impl PacketSource for Scripted {
    fn receive(&mut self) -> usize {
        if self.next == self.frames.len() && self.rounds > 1 {
            (self.next, self.rounds) = (0, self.rounds - 1);
        }
        let end = (self.next + MAX_BURST).min(self.frames.len());
        self.burst = self.next..end;
        self.next = end;
        self.burst.len()
    }

    fn frame(&self, index: usize) -> (&[u8], u32) {
        let frame = &self.frames[self.burst.start + index];
        (frame, u32::try_from(frame.len()).unwrap())
    }

    fn prefetch(&self, _index: usize) {}

    fn release(&mut self) {}

    fn port(&self) -> PortId {
        self.port
    }
}

/// A minimum-size frame: Ethernet, IPv4 of 40 octets, TCP with ACK, padding.
fn tcp_frame(source: [u8; 4], destination: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(source.into_iter().chain(destination));
    frame.extend(ports[0].to_be_bytes().into_iter().chain(ports[1].to_be_bytes()));
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
    frame.resize(60, 0);
    frame
}

/// One of the parts of datagrams over UDP of 64 octets each, the first of them not always first and some never there.
fn fragment_frame(number: u32) -> Vec<u8> {
    let [id, offset] = [number / 5, number % 4 * 8].map(|field| u16::try_from(field).unwrap().to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 84, id[0], id[1], 0x20 | offset[0], offset[1], 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 1, 192, 0, 2, 1]);
    frame.resize(98, 7);
    frame
}

fn client(flow: u32) -> [u8; 4] {
    let [_, b, c, d] = flow.to_be_bytes();
    [10, b, c, d]
}

fn worker(ports: Vec<Scripted>, capacity: u32) -> (Worker<Scripted>, Sweeper) {
    worker_with(&IntakeOptions::default(), ports, capacity)
}

fn worker_with(options: &IntakeOptions, ports: Vec<Scripted>, capacity: u32) -> (Worker<Scripted>, Sweeper) {
    let (writer, sweeper) = table(&TableConfig { capacity, seed: 1, ..TableConfig::default() }).unwrap();
    let (counters, _) = CountersWriter::new();
    let intake = Intake::new(options, 1);
    (Worker { sources: ports, writer, counters, intake }, sweeper)
}

fn port(id: u16, frames: Vec<Vec<u8>>, rounds: usize) -> Scripted {
    Scripted { frames, rounds, next: 0, burst: 0..0, port: PortId(id) }
}

#[test]
fn a_conversation_whose_directions_come_in_on_two_ports_is_one_record() {
    let there = (0..100).map(|flow| tcp_frame(client(flow), [192, 0, 2, 1], [40_000, 443])).collect();
    let back = (0..100).map(|flow| tcp_frame([192, 0, 2, 1], client(flow), [443, 40_000])).collect();
    let (mut worker, mut sweeper) = worker(vec![port(0, there, 3), port(1, back, 2)], 1_000);
    while worker.poll(&ManualClock(Nanos(5))) > 0 {}
    let mut records = Vec::new();
    sweeper.flush(Nanos(6), &mut records);
    assert_eq!(records.len(), 100);
    for record in &records {
        assert_eq!((record.to_destination.packets_total, record.to_source.packets_total), (3, 2));
        assert_eq!((record.to_destination.bytes_total, record.to_source.bytes_total), (120, 80));
        assert_eq!(record.destination().1, 443);
        assert_eq!(record.first.port, PortId(0));
    }
}

#[test]
fn how_long_each_burst_took_is_noted_once_whether_another_follows_or_none() {
    // 400 frames are bursts of 128, 128, 128 and 16; the other port has one burst.
    let many = (0..400).map(|flow| tcp_frame(client(flow), [192, 0, 2, 1], [1, 2])).collect();
    let one = vec![tcp_frame(client(1), [192, 0, 2, 1], [1, 2])];
    let (mut worker, _sweeper) = worker(vec![port(0, many, 1), port(1, one, 1)], 1_000);
    let (counters, read) = CountersWriter::new();
    worker.counters = counters;
    let noted = || read.service_ns.counts().map(|(_, bursts)| bursts).sum::<u64>();
    let clock = ManualClock(Nanos(5));
    // The second port's burst ended that of the first, and is not over.
    worker.poll(&clock);
    assert_eq!((read.read().bursts, noted()), (2, 1));
    while worker.poll(&clock) > 0 {}
    assert_eq!((read.read().bursts, noted()), (5, 5));
    worker.poll(&clock);
    assert_eq!(noted(), 5);
}

/// With everything switched on.
fn all_options() -> IntakeOptions {
    let filter = CaptureFilter::compile("not udp port 9", &[LinkType::Ethernet]).unwrap();
    let dedup = DedupOptions { window_ns: 1_000, packets: 256 };
    IntakeOptions { filter: Some(filter), dedup: Some(dedup), ..IntakeOptions::default() }
}

#[test]
fn what_both_ports_see_is_counted_once_where_duplicates_are_looked_for() {
    let frames: Vec<_> = (0..100).map(|flow| tcp_frame(client(flow), [192, 0, 2, 1], [1, 2])).collect();
    let tagged = frames.iter().map(|frame| [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat()).collect();
    let options = IntakeOptions {
        dedup: Some(DedupOptions { window_ns: 1_000, packets: 100 }),
        ..IntakeOptions::default()
    };
    let (mut worker, _sweeper) = worker_with(&options, vec![port(0, frames, 1), port(1, tagged, 1)], 1_000);
    let (counters, read) = CountersWriter::new();
    worker.counters = counters;
    while worker.poll(&ManualClock(Nanos(5))) > 0 {}
    let figures = read.read();
    assert!(figures.is_balanced());
    assert_eq!((figures.packets, figures.in_flows), (200, 100));
    assert_eq!(figures.not_in_flows[Reason::Duplicate.index()], 100);
}

#[test]
fn frames_that_do_not_pass_the_filter_are_counted_as_such() {
    let frames = vec![tcp_frame([1; 4], [2; 4], [1, 2]), tcp_frame([1; 4], [3; 4], [1, 2]), vec![0; 10]];
    let filter = CaptureFilter::compile("host 1.1.1.1 and not dst host 3.3.3.3", &[]).unwrap();
    let options = IntakeOptions { filter: Some(filter), ..IntakeOptions::default() };
    let (mut worker, _sweeper) = worker_with(&options, vec![port(0, frames, 7)], 16);
    let (counters, read) = CountersWriter::new();
    worker.counters = counters;
    while worker.poll(&ManualClock(Nanos(5))) > 0 {}
    let figures = read.read();
    assert!(figures.is_balanced());
    assert_eq!((figures.packets, figures.in_flows), (21, 7));
    assert_eq!(figures.not_in_flows[Reason::Filtered.index()], 14);
}

#[test]
fn a_worker_allocates_nothing_after_start() {
    let mut frames: Vec<_> = (0..5_000).map(|flow| tcp_frame(client(flow), [192, 0, 2, 1], [1, 2])).collect();
    let broken = [vec![], vec![0; 9], frames[0][..30].to_vec(), [&frames[0][..12], &[0x08, 0x06]].concat()];
    frames.extend(broken.into_iter().cycle().take(500));
    frames.extend((0..3_000).map(fragment_frame));
    // Smaller than the set of flows, so that opening, evicting and reusing are all on the way.
    let (mut worker, mut sweeper) = worker_with(&all_options(), vec![port(0, frames, 20)], 1_024);
    let stop = AtomicBool::new(true);
    let mut records = Vec::with_capacity(200_000);
    let allocations = allocation_counter::measure(|| {
        while worker.poll(&ManualClock(Nanos(5))) > 0 {
            sweeper.sweep(Nanos(u64::MAX / 2), &Timeouts::default(), &mut records);
        }
        worker.run(&ManualClock(Nanos(6)), &stop);
    });
    assert_eq!(allocations.count_total, 0);
    assert!(worker.writer.stats().freed > 0, "retirements were served on the way");
}

#[test]
fn every_packet_is_in_a_flow_or_under_a_reason() {
    let arp = [&tcp_frame([1; 4], [2; 4], [1, 2])[..12], &[0x08, 0x06], &[0; 46]].concat();
    let frames = vec![tcp_frame([1; 4], [2; 4], [1, 2]), arp, vec![0; 10]];
    let (mut worker, _sweeper) = worker(vec![port(0, frames, 7)], 16);
    let (counters, read) = CountersWriter::new();
    worker.counters = counters;
    while worker.poll(&ManualClock(Nanos(5))) > 0 {
        assert!(read.read().is_balanced());
    }
    let figures = read.read();
    assert_eq!((figures.packets, figures.in_flows), (21, 7));
    assert_eq!(figures.not_in_flows[Reason::Arp.index()], 7);
    assert_eq!(figures.not_in_flows[Reason::EthernetTruncated.index()], 7);
}
