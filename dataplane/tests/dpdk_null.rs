//! The `net_null` port: always full bursts, counted by the port as the program counts them.

#![cfg(feature = "dpdk")]

mod dpdk_support;

use dataplane::dpdk::{Burst, DpdkError, Eal, EalOptions, MAX_BURST, Port, PortConfig, RssState};

#[test]
fn packets_of_a_null_port_arrive_and_are_counted_on_a_worker_thread() {
    let eal = dpdk_support::eal();
    assert_eq!(Eal::init(&EalOptions::default()).unwrap_err(), DpdkError::AlreadyInitialised);
    assert!(eal.memory_mode().to_string().contains("--no-huge"));

    let device = "net_null0,size=64".parse().unwrap();
    let config = PortConfig { rx_queues: 2, ..PortConfig::default() };
    let mut port = Port::open(&eal, &device, &config).unwrap();
    assert_eq!(port.info().driver, "net_null");
    let RssState::Symmetric(how) = &port.info().rss else { panic!("{}", port.info().rss) };
    assert!(how.contains("6d5a"), "the key was set and read back: {how}");
    assert!(matches!(Port::open(&eal, &device, &config), Err(DpdkError::DeviceBusy { .. })));
    assert_eq!(eal.ports().len(), 1);
    assert_eq!(eal.ports()[0].name, "net_null0");

    let mut queue = port.take_rx_queue(0).unwrap();
    assert!(port.take_rx_queue(0).is_none(), "a queue has one handle");
    assert!(port.take_rx_queue(2).is_none());
    assert!(port.take_tx_queue(0).is_none(), "none was asked for");

    let received = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let _thread = eal.register_worker_thread().unwrap();
            let mut burst = Burst::new();
            let mut received = 0;
            for _ in 0..1000 {
                received += queue.burst(&mut burst);
                assert_eq!(burst.len(), MAX_BURST);
                for (index, frame) in burst.frames().enumerate() {
                    assert_eq!((frame.data.len(), frame.wire_len), (64, 64));
                    assert_eq!(frame.data.as_ptr(), burst.frame(index).data.as_ptr());
                }
                burst.prefetch(0);
                burst.data_mut(0).fill(7);
                assert_eq!(burst.frame(0).data, [7; 64]);
                assert_eq!(burst.frame(MAX_BURST).wire_len, 0);
                assert!(burst.data_mut(MAX_BURST).is_empty());
            }
            received
        });
        worker.join().unwrap()
    });
    let stats = port.stats().unwrap();
    assert_eq!(stats.rx_packets, received as u64);
    assert_eq!(stats.rx_no_buffer, 0, "every burst was given back");
    assert_eq!(port.buffers_available(), port.info().mbufs, "no buffer is left in a cache or a burst");
}
