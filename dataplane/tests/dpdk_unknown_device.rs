//! A device that does not exist or cannot be used: one line that says what to do.

#![cfg(feature = "dpdk")]

mod dpdk_support;

use dataplane::dpdk::{DpdkError, Port, PortConfig};

#[test]
fn a_device_that_cannot_be_used_is_named_with_what_to_do() {
    let eal = dpdk_support::eal();
    let open = |device: &str| {
        let error = Port::open(&eal, &device.parse().unwrap(), &PortConfig::default()).unwrap_err();
        let line = error.to_string();
        assert!(!line.contains('\n') && line.contains(device), "{line}");
        (error, line)
    };

    let (error, line) = open("net_nothing0");
    assert!(matches!(error, DpdkError::UnknownDevice { .. }), "{line}");
    assert!(line.contains("net_af_packet"), "{line}");

    let (error, line) = open("lo");
    assert!(matches!(error, DpdkError::UnknownDevice { .. }), "{line}");
    assert!(line.contains("net_af_packet0,iface=lo"), "{line}");

    let (error, line) = open("net_af_packet0,iface=tapspan-none");
    assert!(matches!(error, DpdkError::UnknownDevice { .. }), "{line}");
    assert!(line.contains("no interface \"tapspan-none\""), "{line}");

    let (_, line) = open("net_pcap0,rx_pcap=/nonexistent/file.pcap");
    assert!(line.contains("/nonexistent/file.pcap") && line.contains("rx_pcap=FILE"), "{line}");

    let (error, line) = open("ffff:ff:1f.7");
    assert!(matches!(error, DpdkError::UnknownDevice { .. }), "{line}");

    let many = PortConfig { rx_queues: 2000, mbufs: Some(1_024), ..PortConfig::default() };
    let port = Port::open(&eal, &"net_null0".parse().unwrap(), &many).unwrap();
    assert_eq!(port.info().rx_queues, port.info().rx_queues_max, "as many as the device has");
}
