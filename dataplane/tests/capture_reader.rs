//! The capture reader on files made by hand: formats, byte orders, clocks, and everything that can be wrong with a file.

use dataplane::source::capture::{CaptureError, CaptureReader, MAX_PACKET};
use dataplane::wire::LinkType;
use flowtable::Nanos;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use std::io::{Cursor, Write};

/// What a test keeps of a frame: link, interface, time in nanoseconds, octets and length on the wire.
type Seen = (LinkType, u32, u64, Vec<u8>, u32);

const BOTH: [Order; 2] = [Order::Little, Order::Big];

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|&value| self.u32(value)).collect()
    }
}

fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend([order.u16(2), order.u16(4)].concat());
    file.extend(order.words(&[0, 0, 65_535, link]));
    file
}

fn pcap_packet(order: Order, seconds: u32, fraction: u32, data: &[u8], wire_len: u32) -> Vec<u8> {
    let mut packet = order.words(&[seconds, fraction, u32::try_from(data.len()).unwrap_or(0), wire_len]);
    packet.extend(data);
    packet
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = u32::try_from(padded + 12).unwrap_or(0);
    let mut block = order.words(&[kind, length]);
    block.extend(body);
    block.resize(8 + padded, 0);
    block.extend(order.u32(length));
    block
}

fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend([order.u16(1), order.u16(0)].concat());
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

fn interface(order: Order, link: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = [order.u16(link), [0; 2]].concat();
    body.extend(order.u32(snap_len));
    for (code, value) in options {
        body.extend([order.u16(*code), order.u16(u16::try_from(value.len()).unwrap_or(0))].concat());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

fn enhanced_packet(order: Order, interface: u32, time: u64, data: &[u8], wire_len: u32) -> Vec<u8> {
    let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
    let mut body = order.words(&[interface, high, low, u32::try_from(data.len()).unwrap_or(0), wire_len]);
    body.extend(data);
    block(order, 6, &body)
}

fn gzip(file: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(file).and_then(|()| encoder.finish()).expect("a vector takes any octets")
}

/// All frames of `file`, and how it ended.
fn read(file: Vec<u8>) -> (Vec<Seen>, Option<CaptureError>) {
    let mut reader = match CaptureReader::new("made.pcap", Cursor::new(file)) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut seen = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                seen.push((frame.link, frame.interface, frame.at.0, frame.data.to_vec(), frame.wire_len));
            }
            Ok(None) => return (seen, None),
            Err(error) => return (seen, Some(error)),
        }
    }
}

fn whole(file: Vec<u8>) -> Vec<Seen> {
    let (seen, error) = read(file);
    assert!(error.is_none(), "{error:?}");
    seen
}

fn message(file: Vec<u8>) -> (usize, String) {
    let (seen, error) = read(file);
    (seen.len(), error.map_or_else(String::new, |error| error.to_string()))
}

#[test]
fn pcap_is_read_in_either_byte_order_and_resolution() {
    for order in BOTH {
        for (magic, at) in [(0xa1b2_c3d4, 7_000_005_000), (0xa1b2_3c4d, 7_000_000_005)] {
            let mut file = pcap_header(order, magic, 101);
            file.extend(pcap_packet(order, 7, 5, &[1, 2, 3], 60));
            file.extend(pcap_packet(order, 7, 5, &[], 0));
            let seen = whole(file);
            assert_eq!(seen[0], (LinkType::Raw, 0, at, vec![1, 2, 3], 60));
            assert_eq!(seen.len(), 2);
        }
    }
}

#[test]
fn wire_length_is_never_less_than_what_was_captured() {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
    file.extend(pcap_packet(Order::Little, 0, 0, &[0; 30], 4));
    assert_eq!(whole(file)[0].4, 30);
}

#[test]
fn check_sequence_length_is_not_part_of_the_link_type() {
    assert!(whole(pcap_header(Order::Big, 0xa1b2_c3d4, 0x4400_0001)).is_empty());
}

#[test]
fn gzip_is_seen_by_its_magic_and_may_have_several_members() {
    let mut first = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
    first.extend(pcap_packet(Order::Little, 1, 0, &[1; 20], 20));
    let second = pcap_packet(Order::Little, 2, 0, &[2; 20], 20);
    let plain = whole([first.clone(), second.clone()].concat());
    assert_eq!(plain.len(), 2);
    assert_eq!(whole([gzip(&first), gzip(&second)].concat()), plain);
}

#[test]
fn what_was_read_before_gzip_damage_is_delivered() {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
    file.extend(pcap_packet(Order::Little, 1, 0, &[1; 20], 20));
    let mut packed = gzip(&file);
    packed.truncate(packed.len() - 4);
    let (frames, message) = message(packed);
    assert_eq!(frames, 1);
    assert!(message.starts_with("made.pcap: gzip data damaged after 60 uncompressed octets: "), "{message}");
}

#[test]
fn gzip_damage_far_into_a_file_does_not_take_what_was_long_before_it() {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
    for second in 0..400 {
        file.extend(pcap_packet(Order::Little, second, 0, &[7; 984], 984));
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&file).and_then(|()| encoder.flush()).expect("a vector takes any octets");
    // A block of the type that is none.
    let (frames, message) = message([encoder.get_ref(), &[0x07][..]].concat());
    assert!(frames > 400 - 66, "{frames}");
    assert!(message.contains("gzip data damaged after "), "{message}");
}

#[test]
fn pcapng_sections_have_their_own_byte_order_and_interfaces() {
    let mut file = Vec::new();
    for order in BOTH {
        file.extend(section(order));
        file.extend(interface(order, 1, 0, &[]));
        file.extend(interface(order, 113, 0, &[(2, b"eth0\0"), (9, &[9]), (0, &[])]));
        file.extend(enhanced_packet(order, 1, 5_000_000_007, &[1, 2, 3], 99));
        file.extend(block(order, 5, &[0; 40]));
        file.extend(enhanced_packet(order, 0, 5_000_000_007, &[4], 1));
    }
    let seen = whole(file);
    let section = [
        (LinkType::Cooked, 1, 5_000_000_007, vec![1, 2, 3], 99),
        (LinkType::Ethernet, 0, 5_000_000_007_000, vec![4], 1),
    ];
    assert_eq!(seen, [section.clone(), section].concat());
}

#[test]
fn pcapng_times_follow_resolution_and_offset_of_their_interface() {
    let order = Order::Big;
    let mut file = section(order);
    file.extend(interface(order, 1, 0, &[(9, &[0x80 | 10]), (14, &100_i64.to_be_bytes())]));
    file.extend(interface(order, 1, 0, &[(14, &(-1_i64).to_be_bytes())]));
    file.extend(enhanced_packet(order, 0, 1024 + 512, &[], 0));
    file.extend(enhanced_packet(order, 1, 3_000_000, &[], 0));
    file.extend(enhanced_packet(order, 1, 3, &[], 0));
    let times: Vec<u64> = whole(file).iter().map(|frame| frame.2).collect();
    assert_eq!(times, [101_500_000_000, 2_000_000_000, 0]);
}

#[test]
fn simple_and_obsolete_packet_blocks_are_packets() {
    for order in BOTH {
        let mut file = section(order);
        file.extend(interface(order, 101, 6, &[]));
        let mut obsolete = [order.u16(0), order.u16(9)].concat();
        obsolete.extend(order.words(&[0, 4_000_000, 2, 80]));
        obsolete.extend([7, 8]);
        file.extend(block(order, 2, &obsolete));
        let mut simple = order.u32(1500).to_vec();
        simple.extend([1, 2, 3, 4, 5, 6]);
        file.extend(block(order, 3, &simple));
        let seen = whole(file);
        assert_eq!(seen[0], (LinkType::Raw, 0, 4_000_000_000, vec![7, 8], 80));
        assert_eq!(seen[1], (LinkType::Raw, 0, 4_000_000_000, vec![1, 2, 3, 4, 5, 6], 1500));
    }
}

#[test]
fn blocks_longer_than_any_packet_are_passed_over() {
    let mut file = section(Order::Little);
    file.extend(block(Order::Little, 0x0000_000a, &vec![0; 3_000_000]));
    file.extend(interface(Order::Little, 1, 0, &[]));
    file.extend(enhanced_packet(Order::Little, 0, 1, &[9; 60], 60));
    assert_eq!(whole(file).len(), 1);
}

#[test]
fn file_cut_anywhere_gives_the_packets_before_the_cut_and_says_so() {
    let order = Order::Little;
    let mut pcap = pcap_header(order, 0xa1b2_c3d4, 1);
    let mut pcapng = section(order);
    pcapng.extend(interface(order, 1, 0, &[]));
    let mut ends = [vec![pcap.len()], vec![28, pcapng.len()]];
    for octet in 0..3_u8 {
        pcap.extend(pcap_packet(order, 1, 0, &[octet; 21], 21));
        ends[0].push(pcap.len());
        pcapng.extend(enhanced_packet(order, 0, 1, &[octet; 21], 21));
        ends[1].push(pcapng.len());
    }
    for (file, ends, headers) in [(pcap, &ends[0], 1), (pcapng, &ends[1], 2)] {
        for cut in 4..file.len() {
            let (frames, message) = message(file[..cut].to_vec());
            let complete = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(frames, complete.saturating_sub(headers), "{cut}");
            assert_eq!(message.contains("cut short"), !ends.contains(&cut), "{cut}: {message}");
        }
    }
}

#[test]
fn unsupported_link_type_is_named() {
    let expected = "made.pcap: link type 127 (IEEE 802.11) is not supported";
    assert_eq!(message(pcap_header(Order::Little, 0xa1b2_c3d4, 127)), (0, expected.into()));

    let mut file = section(Order::Little);
    file.extend(interface(Order::Little, 1, 0, &[]));
    file.extend(interface(Order::Little, 127, 0, &[]));
    file.extend(enhanced_packet(Order::Little, 0, 1, &[9; 60], 60));
    assert_eq!(whole(file.clone()).len(), 1, "an interface without packets does no harm");
    file.extend(enhanced_packet(Order::Little, 1, 1, &[9; 60], 60));
    assert_eq!(message(file), (1, expected.into()));
}

#[test]
fn what_is_no_capture_is_said_to_be_none() {
    let not = "made.pcap: not a capture file: ";
    assert_eq!(message(Vec::new()), (0, format!("{not}it is shorter than 4 octets")));
    assert_eq!(message(b"<!DOCTYPE html>".to_vec()), (0, format!("{not}it begins with 3c21444f")));
}

#[test]
fn damage_is_told_with_its_place() {
    let order = Order::Little;
    let mut file = pcap_header(order, 0xa1b2_c3d4, 1);
    file.extend(order.words(&[1, 1, MAX_PACKET + 1, 60]));
    let what = "a packet of 262145 octets, more than 262144";
    assert_eq!(message(file), (0, format!("made.pcap: damaged at octet 24: {what}")));

    let mut ng = section(order);
    ng.extend(interface(order, 1, 0, &[]));
    let damaged = |tail: &[u8], what: &str| {
        let expected = format!("made.pcap: damaged at octet 48: {what}");
        assert_eq!(message([&ng[..], tail].concat()), (0, expected));
    };
    damaged(&order.words(&[6, 13, 0]), "a block of 13 octets");
    damaged(&order.words(&[6, 16, 0, 20]), "a block whose two lengths differ");
    damaged(&block(order, 6, &[0; 8]), "a packet block too short for its fields");
    damaged(&block(order, 6, &order.words(&[0, 0, 0, 9, 9, 0])), "a packet longer than its block");
    damaged(&enhanced_packet(order, 4, 0, &[], 0), "a packet of interface 4, which is not described");
    damaged(&order.words(&[6, 0x1000_0000, 0]), "a block of 268435456 octets");
    damaged(&order.words(&[0x0a0d_0d0a, 28, 7, 0, 0, 0, 28]), "a section header without a byte order");
}

#[test]
fn missing_file_and_folder_are_told_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("none.pcap");
    let error = CaptureReader::open(&missing).err().map_or_else(String::new, |error| error.to_string());
    assert!(error.starts_with(&missing.display().to_string()) && error.contains("os error 2"), "{error}");
    assert!(matches!(CaptureReader::open(folder.path()), Err(CaptureError::Io { .. })));
}

#[test]
fn progress_counts_octets_of_the_file_on_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a.pcap.gz");
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
    for second in 0..1000 {
        file.extend(pcap_packet(Order::Little, second, 0, &[0; 60], 60));
    }
    let packed = gzip(&file);
    std::fs::write(&path, &packed).expect("a writable folder");
    let mut reader = CaptureReader::open(&path).expect("a capture");
    let mut last = Nanos(0);
    while let Some(frame) = reader.next().expect("a whole capture") {
        last = frame.at;
    }
    assert_eq!(last, Nanos(999_000_000_000));
    assert_eq!(reader.size(), Some(packed.len() as u64));
    assert_eq!(reader.bytes_read(), packed.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_behind_a_header_end_without_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..400),
        small in proptest::collection::vec(0_u32..40, 0..40),
        ng in any::<bool>(),
    ) {
        let order = Order::Little;
        let mut file = if ng { section(order) } else { pcap_header(order, 0xa1b2_c3d4, 1) };
        if ng {
            file.extend(interface(order, 1, 0, &[]));
        }
        file.extend(order.words(&small));
        file.extend(tail);
        let length = file.len();
        let (seen, _) = read(file);
        prop_assert!(seen.iter().map(|frame| frame.3.len()).sum::<usize>() <= length);
    }
}
