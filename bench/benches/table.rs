//! The table behind the parser, index and all: packets of flows it has and has not, flows that come and go.
//!
//! The index is the table's own; what it costs shows in the Writer. Parsing from a list of stamps is part of each time, and
//! stands beside as `hit/packets_alone`.

use std::time::Duration;

use bench::packets::{Packets, open_all};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataplane::clock::Stopwatch;
use flowtable::{
    Burst, FlowRecord, MAX_BURST, Nanos, RecordSink, Sweeper, TableConfig, Timeouts, Writer, table,
};

const CHURN: u32 = 4_096;
const SECOND_NS: u64 = 1_000_000_000;
/// Flows of the table that opening and removing is measured in.
const SOME: u32 = 64_000;

fn made(capacity: u32) -> (Writer, Sweeper) {
    table(&TableConfig { capacity, seed: 1, ..TableConfig::default() }).expect("memory for the table")
}

/// Records nobody wants.
struct Nowhere;

impl RecordSink for Nowhere {
    fn record(&mut self, record: FlowRecord) {
        std::hint::black_box(record);
    }
}

/// Established flows in random order, in bursts.
fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Elements(MAX_BURST as u64));
    for (name, flows) in [("64k", SOME), ("1M", 1_000_000)] {
        let (mut writer, _sweeper) = made(flows / 4 * 5);
        open_all(&mut writer, flows, Nanos(1));
        let mut packets = Packets::at_random(flows);
        group.bench_function(name, |bencher| {
            bencher.iter(|| writer.update(packets.burst(Nanos(2))));
        });
    }
    group.bench_function("packets_alone", |bencher| {
        let mut packets = Packets::at_random(1_000_000);
        bencher.iter(|| packets.burst(Nanos(2)).len());
    });
    group.finish();
}

/// Packets of flows that are not in the table and find no room: it is full, and nobody takes what it ended.
fn miss(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("miss");
    group.throughput(Throughput::Elements(MAX_BURST as u64));
    for (name, flows) in [("64k", SOME), ("1M", 1_000_000)] {
        let (mut writer, _sweeper) = made(flows);
        open_all(&mut writer, flows, Nanos(1));
        let mut packets = Packets::in_order_from(flows, 1 << 22);
        // Some thousand evictions until there is no room for a further one.
        while writer.update(packets.burst(Nanos(2))).in_flows > 0 {}
        group.bench_function(name, |bencher| {
            bencher.iter(|| writer.update(packets.burst(Nanos(2))));
        });
    }
    group.finish();
}

/// Flows opened in a table with room, and freed after their last record; one time each.
fn insert_and_remove(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(u64::from(SOME))).sample_size(10);
    let timeouts = Timeouts::default();
    for (name, removing) in [("insert_64k", false), ("remove_64k", true)] {
        let (mut writer, mut sweeper) = made(SOME / 4 * 5);
        let mut packets = Packets::in_order(SOME);
        let mut now = Nanos(SECOND_NS);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut ns = 0;
                for _ in 0..rounds {
                    let watch = Stopwatch::start();
                    for _ in 0..SOME as usize / MAX_BURST {
                        writer.update(packets.burst(now));
                    }
                    ns += if removing { 0 } else { watch.elapsed_ns() };
                    now = Nanos(now.0 + timeouts.tcp_ns);
                    // There is room for a quarter of the table in the mailbox.
                    while writer.stats().live > 0 {
                        sweeper.sweep(now, &timeouts, &mut Nowhere);
                        let watch = Stopwatch::start();
                        writer.serve_retirements(SOME as usize);
                        ns += if removing { watch.elapsed_ns() } else { 0 };
                    }
                }
                Duration::from_nanos(ns)
            });
        });
    }
    group.finish();
}

/// The longest of a thousand single packets that open a flow, in a table nine tenths full in which as many come as go.
fn worst_insert(criterion: &mut Criterion) {
    const PACKETS: u32 = 1_024;
    let (mut writer, mut sweeper) = made(SOME);
    let timeouts = Timeouts::default();
    let mut packets = Packets::in_order(1 << 22);
    let mut now = Nanos(SECOND_NS);
    let mut group = criterion.benchmark_group("index");
    group.sample_size(20);
    group.bench_function("worst_insert_of_1024_under_churn", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut ns = 0;
            for _ in 0..rounds {
                let mut worst = 0;
                for _ in 0..PACKETS / u32::try_from(MAX_BURST).expect("128") {
                    for packet in packets.burst(now).packets() {
                        let alone = Burst::from(packet);
                        let watch = Stopwatch::start();
                        writer.update(&alone);
                        worst = worst.max(watch.elapsed_ns());
                    }
                }
                ns += worst;
                // 56 rounds of 1,024 flows are 0.9 of the table: the oldest go idle when a further one comes.
                now = Nanos(now.0 + timeouts.tcp_ns / 56);
                sweeper.sweep(now, &timeouts, &mut Nowhere);
                writer.serve_retirements(SOME as usize);
            }
            Duration::from_nanos(ns)
        });
    });
    group.finish();
}

/// A flow opened, found idle, exported and freed, all on one thread.
fn churn(criterion: &mut Criterion) {
    let (mut writer, mut sweeper) = made(SOME);
    let mut packets = Packets::in_order(1 << 20);
    let timeouts = Timeouts::default();
    let mut now = Nanos(SECOND_NS);
    let mut group = criterion.benchmark_group("churn");
    group.throughput(Throughput::Elements(u64::from(CHURN)));
    group.bench_function("open_and_retire", |bencher| {
        bencher.iter(|| {
            for _ in 0..CHURN as usize / MAX_BURST {
                writer.update(packets.burst(now));
            }
            now = Nanos(now.0 + timeouts.tcp_ns);
            sweeper.sweep(now, &timeouts, &mut Nowhere);
            writer.serve_retirements(CHURN as usize)
        });
    });
    assert_eq!(writer.stats().live, 0, "every flow was retired");
    group.finish();
}

criterion_group!(benches, hit, miss, insert_and_remove, worst_insert, churn);
criterion_main!(benches);
