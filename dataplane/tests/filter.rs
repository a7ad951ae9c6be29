//! The filter's interpreter against libpcap's own on every frame of the captures, and on programs nobody would write.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking, in its helpers too")]

use std::ffi::CString;
use std::path::{Path, PathBuf};

use dataplane::filter::{Filter, Instruction, Program};
use dataplane::source::capture::CaptureReader;
use dataplane::wire::LinkType;
use pcap_sys::{Compiled, DataLink};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::TestRunner;

const EXPRESSIONS: [&str; 42] = [
    "",
    "ip",
    "ip6",
    "arp",
    "not ip",
    "tcp",
    "udp port 53",
    "tcp port 80 or tcp port 443",
    "tcp src port 80",
    "port 53",
    "portrange 1000-30000",
    "not portrange 1-1023",
    "host 192.168.1.1",
    "net 10.0.0.0/8",
    "src net 192.168.0.0/16 and not dst net 192.168.0.0/16",
    "ip6 net fe80::/10",
    "ip6 and tcp",
    "icmp",
    "icmp6",
    "icmp[icmptype] = icmp-echo",
    "sctp",
    "proto 47",
    "greater 100",
    "less 64",
    "len > 200 and len <= 1000",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] = tcp-syn",
    "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
    "ip[6:2] & 0x1fff != 0",
    "ip[0] & 0xf != 5",
    "ip[8] < 64 and ip[2:2] % 3 == 1",
    "ip[2:2] / ip[8] > 3",
    "ip[2:2] - ip[8] * 2 ^ 5 > 64 << 1",
    "udp[8 + udp[9]] | 1 = 1",
    "ip6[6] = 58 or ip6[40] = 128",
    "ip[ip[0] & 0xf : 2] != 0",
    "ether broadcast or ether multicast",
    "ether[12:2] > 0x600 and ether src host 00:00:00:00:00:01 or ether proto 0x88cc",
    "vlan",
    "vlan and (tcp or vlan and udp)",
    "mpls",
    "pppoes and ip",
];

fn data_link(link: LinkType) -> DataLink {
    match link {
        LinkType::Ethernet => DataLink::Ethernet,
        LinkType::Raw => DataLink::Raw,
        LinkType::Ppp => DataLink::Ppp,
        LinkType::Cooked => DataLink::Cooked,
        LinkType::Cooked2 => DataLink::Cooked2,
        LinkType::Null => DataLink::Null,
    }
}

/// Every expression that has a meaning for a link layer, in our hands and in libpcap's.
fn pairs(link: LinkType) -> Vec<(&'static str, Filter, Compiled)> {
    let pair = |expression| {
        let theirs = Compiled::new(&CString::new(expression).unwrap(), data_link(link)).ok()?;
        Some((expression, Filter::compile(expression, link).unwrap(), theirs))
    };
    EXPRESSIONS.into_iter().filter_map(pair).collect()
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(captures(&path));
        } else if path.extension().is_some_and(|kind| ["pcap", "pcapng", "cap"].iter().any(|k| kind == *k)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn verdicts_on_the_captures_are_those_of_libpcap() {
    let links = [LinkType::Ethernet, LinkType::Raw, LinkType::Cooked, LinkType::Cooked2, LinkType::Null];
    let filters = links.map(|link| (link, pairs(link)));
    assert_eq!(filters[0].1.len(), EXPRESSIONS.len(), "all have a meaning for Ethernet");
    let (mut compared, mut passed) = (0u64, vec![0u64; EXPRESSIONS.len()]);
    for path in captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures")) {
        // Of link layers that are not read.
        let Ok(mut reader) = CaptureReader::open(&path) else { continue };
        while let Ok(Some(frame)) = reader.next() {
            let Some((_, pairs)) = filters.iter().find(|(link, _)| *link == frame.link) else { continue };
            for (expression, ours, theirs) in pairs {
                let verdict = ours.passes(frame.data, frame.wire_len);
                assert_eq!(verdict, theirs.passes(frame.data, frame.wire_len), "{expression} {path:?}");
                let place = EXPRESSIONS.iter().position(|other| other == expression).unwrap();
                passed[place] += u64::from(verdict);
                compared += 1;
            }
        }
    }
    assert!(compared > 50_000, "only {compared} verdicts were compared");
    let both = passed.iter().filter(|passed| **passed > 0).count();
    assert!(both > 30, "only {both} expressions let a frame pass: {passed:?}");
}

/// Instructions of which most are valid where they stand: small operands, short jumps.
fn instruction() -> impl Strategy<Value = Instruction> {
    const CODES: [u16; 44] = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25,
        0x28, 0x2c, 0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c,
        0x60, 0x61, 0x6c, 0x74, 0x80, 0x84, 0x87, 0x94, 0x9c, 0xb1,
    ];
    let code = prop_oneof![9 => select(CODES.to_vec()), 1 => any::<u16>()];
    let k = prop_oneof![6 => 1u32..15, 1 => any::<u32>()];
    (code, 0u8..4, 0u8..4, k).prop_map(|(code, jt, jf, k)| Instruction { code, jt, jf, k })
}

proptest! {
    #[test]
    fn programs_that_are_taken_end_on_any_frame(
        mut instructions in vec(instruction(), 0..40),
        frame in vec(any::<u8>(), 0..80),
        wire_len in any::<u32>(),
    ) {
        // Returns behind it let most jumps be inside.
        instructions.extend([Instruction { code: 0x16, jt: 0, jf: 0, k: 0 }; 16]);
        if let Ok(program) = Program::new(instructions.clone()) {
            let verdict = program.run(&frame, wire_len);
            prop_assert!(verdict == program.run(&frame, wire_len));
            // What is there of a program also ends where it begins elsewhere.
            for from in 1..instructions.len() {
                if let Ok(rest) = Program::new(instructions[from..].to_vec()) {
                    rest.run(&frame, wire_len);
                }
            }
        }
    }
}

#[test]
fn verdicts_on_any_frame_are_those_of_libpcap() {
    let pairs = pairs(LinkType::Raw);
    let frames = (vec(any::<u8>(), 0..120), select(&[0x45, 0x46, 0x60][..]), 0u32..2_000);
    let verdicts = |(mut frame, version, more): (Vec<u8>, u8, u32)| {
        if let Some(first) = frame.first_mut() {
            *first = version;
        }
        let wire_len = u32::try_from(frame.len()).unwrap() + more;
        for (expression, ours, theirs) in &pairs {
            prop_assert_eq!(ours.passes(&frame, wire_len), theirs.passes(&frame, wire_len), "{}", expression);
        }
        Ok(())
    };
    TestRunner::default().run(&frames, verdicts).unwrap();
}
