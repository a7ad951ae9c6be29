//! A sweep over live flows of which none is due.

use bench::packets::open_all;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowtable::{FlowRecord, Nanos, TableConfig, Timeouts, table};

const FLOWS: u32 = 1_000_000;

fn nothing_due(criterion: &mut Criterion) {
    let config = TableConfig { capacity: FLOWS / 4 * 5, seed: 1, ..TableConfig::default() };
    let (mut writer, mut sweeper) = table(&config).expect("memory for the table");
    open_all(&mut writer, FLOWS, Nanos(1));
    let mut records: Vec<FlowRecord> = Vec::new();
    let mut group = criterion.benchmark_group("sweep");
    group.throughput(Throughput::Elements(u64::from(FLOWS))).sample_size(10);
    group.bench_function("1M_nothing_due", |bencher| {
        bencher.iter(|| sweeper.sweep(Nanos(2), &Timeouts::default(), &mut records));
    });
    assert!(records.is_empty(), "nothing was due");
    group.finish();
}

criterion_group!(benches, nothing_due);
criterion_main!(benches);
