//! The `net_ring` port: what is sent comes back, in order, also in several segments.

#![cfg(feature = "dpdk")]

mod dpdk_support;

use dataplane::dpdk::{Port, PortConfig};
use dpdk_support::pattern;

#[test]
fn frames_sent_on_a_ring_port_come_back_equal_and_in_order() {
    let eal = dpdk_support::eal();
    let config = PortConfig { tx_queues: 1, ..PortConfig::default() };
    let mut port = Port::open(&eal, &"net_ring0".parse().unwrap(), &config).unwrap();
    let mut rx = port.take_rx_queue(0).unwrap();
    let mut tx = port.take_tx_queue(0).unwrap();

    let frames: Vec<Vec<u8>> = (0..200).map(|number| pattern(number, 60 + 45 * number)).collect();
    let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    assert_eq!(tx.send(&slices), frames.len());
    let segment = usize::from(port.info().segment_bytes);
    dpdk_support::receive(&mut rx, frames.len(), |number, frame| {
        let sent = &frames[number];
        assert_eq!(frame.wire_len as usize, sent.len());
        assert_eq!(frame.data, &sent[..sent.len().min(segment)]);
    });
    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_packets, stats.tx_packets), (200, 200));
    assert_eq!(port.buffers_available(), port.info().mbufs, "all segments of all packets are back");

    drop(rx);
    drop(port);
    assert_eq!(tx.send(&slices[..1]), 1, "a queue keeps its port open");
}
