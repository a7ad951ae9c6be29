//! Sweeps: over live flows of which none is due, and over flows that all are.

use std::time::Duration;

use bench::packets::open_all;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataplane::clock::Stopwatch;
use flowtable::{FlowRecord, Nanos, RecordSink, TableConfig, Timeouts, table};

const FLOWS: u32 = 1_000_000;

/// Counts records and forgets them.
struct Count(u64);

impl RecordSink for Count {
    fn record(&mut self, record: FlowRecord) {
        std::hint::black_box(record);
        self.0 += 1;
    }
}

fn config() -> TableConfig {
    TableConfig { capacity: FLOWS / 4 * 5, seed: 1, ..TableConfig::default() }
}

fn nothing_due(criterion: &mut Criterion) {
    let (mut writer, mut sweeper) = table(&config()).expect("memory for the table");
    open_all(&mut writer, FLOWS, Nanos(1));
    let mut records = Count(0);
    let mut group = criterion.benchmark_group("sweep");
    group.throughput(Throughput::Elements(u64::from(FLOWS))).sample_size(10);
    let never = Timeouts { active_ns: u64::MAX, tcp_ns: u64::MAX, ..Timeouts::default() };
    let mut now = Nanos(2);
    group.bench_function("1M_nothing_due", |bencher| {
        bencher.iter(|| {
            // After the shortest timeout every flow is looked at.
            now = Nanos(now.0 + never.close_linger_ns);
            let looked_at = sweeper.sweep(now, &never, &mut records).live;
            assert_eq!(looked_at, u64::from(FLOWS));
        });
    });
    assert_eq!(records.0, 0, "nothing was due");
    group.finish();
}

/// A record of every flow, as at the active timeout.
fn all_due(criterion: &mut Criterion) {
    let (mut writer, mut sweeper) = table(&config()).expect("memory for the table");
    let timeouts = Timeouts::default();
    let mut now = Nanos(timeouts.active_ns);
    let mut group = criterion.benchmark_group("sweep");
    group.throughput(Throughput::Elements(u64::from(FLOWS))).sample_size(10);
    group.bench_function("1M_all_due", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut ns = 0;
            for _ in 0..rounds {
                open_all(&mut writer, FLOWS, now);
                now = Nanos(now.0 + timeouts.active_ns);
                let mut records = Count(0);
                let watch = Stopwatch::start();
                sweeper.sweep(now, &timeouts, &mut records);
                ns += watch.elapsed_ns();
                assert_eq!(records.0, u64::from(FLOWS), "all were due");
            }
            Duration::from_nanos(ns)
        });
    });
    group.finish();
}

criterion_group!(benches, nothing_due, all_due);
criterion_main!(benches);
