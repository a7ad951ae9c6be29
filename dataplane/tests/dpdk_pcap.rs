//! The `net_pcap` port: the frames of a file, byte for byte.

#![cfg(feature = "dpdk")]

mod dpdk_support;

use std::io::Write;

use dataplane::dpdk::{Port, PortConfig};
use dpdk_support::pattern;

/// Lengths that matter: the least, a full Ethernet frame, one buffer, and more than one buffer.
const LENGTHS: [usize; 6] = [14, 60, 64, 1514, 2048, 9000];

#[test]
fn frames_of_a_capture_come_back_as_they_were() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write_capture(&mut file).unwrap();

    let eal = dpdk_support::eal();
    let device = format!("net_pcap0,rx_pcap={}", file.path().display()).parse().unwrap();
    let mut port = Port::open(&eal, &device, &PortConfig::default()).unwrap();
    let mut queue = port.take_rx_queue(0).unwrap();
    let mut bytes = 0;
    dpdk_support::receive(&mut queue, LENGTHS.len(), |number, frame| {
        let sent = pattern(number, LENGTHS[number]);
        assert_eq!(frame.wire_len as usize, sent.len());
        let first_segment = sent.len().min(usize::from(port.info().segment_bytes));
        assert_eq!(frame.data, &sent[..first_segment]);
        bytes += u64::from(frame.wire_len);
    });
    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_packets, stats.rx_bytes), (LENGTHS.len() as u64, bytes));
}

/// A pcap file of version 2.4, little-endian, microseconds, Ethernet.
fn write_capture(file: &mut impl Write) -> std::io::Result<()> {
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1];
    for word in header {
        file.write_all(&word.to_le_bytes())?;
    }
    for (number, length) in LENGTHS.into_iter().enumerate() {
        let length = u32::try_from(length).expect("a frame is short");
        for word in [1_700_000_000, 0, length, length] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(&pattern(number, length as usize))?;
    }
    file.flush()
}
