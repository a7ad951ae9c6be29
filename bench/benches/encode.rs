//! Encoding a batch of random records.

use bench::encode::{BATCH, encoder};
use bench::records;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapspan::span::Format;

fn encode(criterion: &mut Criterion) {
    let records = records::at_random(BATCH);
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, format) in [("protobuf", Format::Protobuf), ("json", Format::Json)] {
        let mut encoder = encoder(format);
        group.bench_function(name, |bencher| bencher.iter(|| encoder.encode(&records)));
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
