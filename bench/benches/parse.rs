//! Parsing one frame, already in the first-level cache.

use std::hint::black_box;

use bench::frames;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataplane::wire::{self, Beside, LinkType, ParseOptions};
use flowtable::{Nanos, PortId, tcp_flag};

fn parse(criterion: &mut Criterion) {
    let cases = [
        ("ipv4_tcp", frames::template(tcp_flag::ACK).to_vec()),
        ("vlan_ipv4_tcp", frames::vlan_frame()),
        ("ipv6_tcp", frames::ipv6_frame()),
    ];
    let options = ParseOptions::default();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    for (name, frame) in cases {
        let wire_len = u32::try_from(frame.len()).expect("a short frame");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                wire::parse(
                    LinkType::Ethernet,
                    black_box(&frame),
                    wire_len,
                    Nanos(1),
                    PortId(0),
                    &options,
                    &mut Beside::default(),
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
