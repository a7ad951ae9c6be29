//! Parsing one frame, already in the first-level cache.

use std::hint::black_box;

use bench::frames::Shape;
use bench::packets::ParseAlone;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dataplane::wire::LinkType;
use flowtable::tcp_flag;

fn parse(criterion: &mut Criterion) {
    let cases = [
        ("ipv4_tcp", Shape::Tcp.template(tcp_flag::ACK)),
        ("ipv4_udp", Shape::Udp.template(0)),
        ("vlan_ipv4_tcp", Shape::Vlan.template(tcp_flag::ACK)),
        ("ipv6_tcp", Shape::Ipv6.template(tcp_flag::ACK)),
        ("vxlan_ipv4_tcp", Shape::Vxlan.template(tcp_flag::ACK)),
    ];
    let mut parse = ParseAlone::default();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    for (name, frame) in cases {
        let wire_len = u32::try_from(frame.len()).expect("a short frame");
        group.bench_function(name, |bencher| {
            bencher.iter(|| parse.frame(LinkType::Ethernet, black_box(&frame), wire_len));
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
