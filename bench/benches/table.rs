//! The table behind the parser: packets of flows it has, and flows that come and go.

use bench::packets::{Packets, open_all};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtable::{MAX_BURST, Nanos, Sweeper, TableConfig, Timeouts, Writer, table};

const CHURN: u32 = 4_096;
const SECOND_NS: u64 = 1_000_000_000;

fn made(capacity: u32) -> (Writer, Sweeper) {
    table(&TableConfig { capacity, seed: 1, ..TableConfig::default() }).expect("memory for the table")
}

/// Established flows in random order, in bursts; making the packets out of a list of stamps is part of the time.
fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Elements(MAX_BURST as u64));
    for (name, flows) in [("64k", 64_000), ("1M", 1_000_000)] {
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

/// A flow opened, found idle, exported and freed, all on one thread.
fn churn(criterion: &mut Criterion) {
    let (mut writer, mut sweeper) = made(64_000);
    let mut packets = Packets::in_order(1 << 20);
    let timeouts = Timeouts::default();
    let mut now = Nanos(SECOND_NS);
    let mut records = Vec::new();
    let mut group = criterion.benchmark_group("churn");
    group.throughput(Throughput::Elements(u64::from(CHURN)));
    group.bench_function("open_and_retire", |bencher| {
        bencher.iter(|| {
            for _ in 0..CHURN as usize / MAX_BURST {
                writer.update(packets.burst(now));
            }
            now = Nanos(now.0 + timeouts.tcp_ns);
            records.clear();
            sweeper.sweep(now, &timeouts, &mut records);
            writer.serve_retirements(CHURN as usize)
        });
    });
    assert_eq!(writer.stats().live, 0, "every flow was retired");
    group.finish();
}

criterion_group!(benches, hit, churn);
criterion_main!(benches);
