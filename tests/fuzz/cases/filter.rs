//! Programs of any instructions and expressions of any words: a program that is taken comes to an end and gives what a plain
//! reading of its instructions gives; an expression that is one gives what libpcap's own interpreter gives.
//!
//! Expressions are put together from a list of words, in which there are no names, so that nothing is ever looked up.

use std::ffi::CString;

use dataplane::filter::{BadProgram, CaptureFilter, Filter, FilterError, Instruction, Program};
use dataplane::wire::LinkType;
use pcap_sys::{Compiled, DataLink};

use crate::bytes::Bytes;

/// Lets the program before it end wherever a short jump leads.
const RETURN_A: Instruction = Instruction { code: 0x16, jt: 0, jf: 0, k: 0 };
/// Words of an expression, at most.
const MAX_WORDS: u8 = 32;
/// Expressions one in another, at most.
const MAX_DEPTH: u32 = 4;

/// Whole expressions.
const PRIMITIVES: [&str; 40] = [
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "igmp",
    "esp",
    "ah",
    "port 53",
    "tcp src port 80",
    "udp portrange 1-1023",
    "dst portrange 9-7",
    "host 10.0.0.1",
    "src host ::1",
    "net 10.0.0.0/8",
    "src net 192.168",
    "ip6 net fe80::/10",
    "ether host 02:00:00:00:00:01",
    "ether proto 0x88cc",
    "ether broadcast",
    "multicast",
    "ip multicast",
    "greater 100",
    "less 64",
    "proto 47",
    "ip proto 4",
    "ip6 protochain 6",
    "vlan",
    "vlan 7",
    "mpls",
    "mpls 100000",
    "pppoed",
    "pppoes",
    "pppoes 9",
    "geneve",
    "ip broadcast",
];

/// Words without order.
const WORDS: [&str; 64] = [
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ":",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "=",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "!",
    "&&",
    "||",
    "0",
    "1",
    "2",
    "4",
    "12",
    "255",
    "65535",
    "4294967295",
    "4294967296",
    "0x1f",
    "10.0.0.1",
    "10.0.0.0/8",
    "::1",
    "fe80::/10",
    "1-2",
    "00:00:00:00:00:01",
    "src",
    "dst",
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "protochain",
    "mask",
    "ether",
    "ip",
    "ip6",
    "tcp",
    "udp",
    "icmp",
    "len",
    "vlan",
    "mpls",
    "pppoes",
    "less",
    "\\tcp",
];

/// What has octets to be looked at.
const HEADERS: [&str; 8] = ["ip", "ip6", "tcp", "udp", "icmp", "ether", "link", "sctp"];
const NUMBERS: [&str; 12] =
    ["0", "1", "2", "3", "6", "13", "31", "0x0f", "255", "1500", "65535", "0xffffffff"];
const OPERATORS: [&str; 10] = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];
const RELATIONS: [&str; 6] = ["=", "!=", "<", ">", "<=", ">="];

pub(crate) fn run(data: &[u8]) {
    let mut input = Bytes(data);
    let kind = input.u8();
    if kind & 1 == 0 {
        program(&mut input);
    } else {
        expression(kind, &mut input);
    }
}

/// The input: number of instructions, length on the wire, instructions as in memory, frame.
fn program(input: &mut Bytes<'_>) {
    let (count, wire_len) = (input.u8(), input.u32());
    let mut instructions: Vec<_> = (0..count)
        .map(|_| Instruction { code: input.u16(), jt: input.u8(), jf: input.u8(), k: input.u32() })
        .collect();
    compare(&instructions, input.0, wire_len);
    instructions.extend([RETURN_A; 8]);
    compare(&instructions, input.0, wire_len);
}

fn compare(instructions: &[Instruction], frame: &[u8], wire_len: u32) {
    if let Ok(program) = Program::new(instructions.to_vec()) {
        let (verdict, _) = plainly(instructions, frame, wire_len);
        assert_eq!(program.run(frame, wire_len), verdict, "{instructions:?}");
    }
}

/// Runs a program that was taken, instruction by instruction, as bpf(4) describes them. Says as well whether it wrote all the
/// scratch memory that it read, as what is in the rest is nowhere said: zeros here, anything in libpcap.
fn plainly(instructions: &[Instruction], frame: &[u8], wire_len: u32) -> (u32, bool) {
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [None; 16]);
    let (mut at, mut defined) = (0, true);
    for _ in 0..instructions.len() {
        let Instruction { code, jt, jf, k } = instructions[at];
        at += 1;
        let word = k as usize % memory.len();
        let load = |from: Option<u32>, size: usize| {
            let from = from? as usize;
            let octets = frame.get(from..from.checked_add(size)?)?;
            Some(octets.iter().fold(0, |word, &octet| word << 8 | u32::from(octet)))
        };
        let operand = if code & 8 != 0 { x } else { k };
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        let loaded = match code {
            0x00 => Some(k),
            0x20 => load(Some(k), 4),
            0x28 => load(Some(k), 2),
            0x30 => load(Some(k), 1),
            0x40 => load(x.checked_add(k), 4),
            0x48 => load(x.checked_add(k), 2),
            0x50 => load(x.checked_add(k), 1),
            0x60 => {
                defined &= memory[word].is_some();
                Some(memory[word].unwrap_or(0))
            }
            0x80 => Some(wire_len),
            0x04 | 0x0c => Some(a.wrapping_add(operand)),
            0x14 | 0x1c => Some(a.wrapping_sub(operand)),
            0x24 | 0x2c => Some(a.wrapping_mul(operand)),
            0x34 | 0x3c => a.checked_div(operand),
            0x44 | 0x4c => Some(a | operand),
            0x54 | 0x5c => Some(a & operand),
            0x64 | 0x6c => Some(if operand < 32 { a << operand } else { 0 }),
            0x74 | 0x7c => Some(if operand < 32 { a >> operand } else { 0 }),
            0x84 => Some(0_u32.wrapping_sub(a)),
            0x94 | 0x9c => a.checked_rem(operand),
            0xa4 | 0xac => Some(a ^ operand),
            0x87 => Some(x),
            _ => Some(a),
        };
        let Some(loaded) = loaded else { return (0, defined) };
        match code {
            0x01 => x = k,
            0x61 => {
                defined &= memory[word].is_some();
                x = memory[word].unwrap_or(0);
            }
            0x81 => x = wire_len,
            0xb1 => match load(Some(k), 1) {
                Some(octet) => x = 4 * (octet & 15),
                None => return (0, defined),
            },
            0x02 => memory[word] = Some(a),
            0x03 => memory[word] = Some(x),
            0x05 => at += k as usize,
            0x15 | 0x1d => at += jump(a == operand),
            0x25 | 0x2d => at += jump(a > operand),
            0x35 | 0x3d => at += jump(a >= operand),
            0x45 | 0x4d => at += jump(a & operand != 0),
            0x06 => return (k, defined),
            0x16 => return (a, defined),
            0x07 => x = a,
            _ => a = loaded,
        }
    }
    unreachable!("a program that is taken returns")
}

/// The input: link layer, length cut off the frame, words, frame.
fn expression(kind: u8, input: &mut Bytes<'_>) {
    let (link, cut) = (input.link(), input.u8());
    let text = if kind & 2 == 0 { sentence(input, 0) } else { words(input) };
    let frame = input.0;
    let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX).saturating_add(u32::from(cut));
    let swapped = frame.starts_with(&[0, 0]);
    let source = CString::new(text.as_str()).expect("no word has an octet of zero in it");
    let theirs = Compiled::new(&source, data_link(link, swapped));
    match Filter::compile(&text, link) {
        Ok(ours) => {
            let theirs = theirs.expect("it was compiled just now");
            let verdict = ours.passes(frame, wire_len);
            let (plain, defined) = plainly(&theirs.instructions(), frame, wire_len);
            assert_eq!(verdict, plain != 0, "{text:?} on {link:?}");
            assert!(!defined || verdict == theirs.passes(frame, wire_len), "{text:?} on {link:?}");
            if kind & 0x1c == 0 {
                let all = CaptureFilter::compile(&text, &[link]).expect("it has a meaning for the link");
                assert_eq!(all.passes(link, frame, wire_len), verdict);
            }
        }
        Err(FilterError::Compile(words)) => assert!(!words.is_empty(), "{text:?}"),
        Err(FilterError::Program(error)) => {
            let looping = matches!(error, BadProgram::JumpOutside(_)) && text.contains("protochain");
            assert!(looping || matches!(error, BadProgram::Length(_)), "{text:?}: {error}");
        }
    }
}

/// An expression by the rules, for the most part.
fn sentence(input: &mut Bytes<'_>, depth: u32) -> String {
    let kind = input.u8();
    let inner = |input: &mut Bytes<'_>| sentence(input, depth + 1);
    match kind % 8 {
        3 | 4 => format!("{} {} {}", number(input, depth), pick(&RELATIONS, input), number(input, depth)),
        5 if depth < MAX_DEPTH => format!("not ({})", inner(input)),
        6 if depth < MAX_DEPTH => format!("({}) and ({})", inner(input), inner(input)),
        7 if depth < MAX_DEPTH => format!("({}) or ({})", inner(input), inner(input)),
        _ => pick(&PRIMITIVES, input).to_owned(),
    }
}

fn number(input: &mut Bytes<'_>, depth: u32) -> String {
    let kind = input.u8();
    let inner = |input: &mut Bytes<'_>| number(input, depth + 1);
    match kind % 8 {
        0 => "len".to_owned(),
        1 | 2 => format!("{}[{}]", pick(&HEADERS, input), pick(&NUMBERS, input)),
        3 if depth < MAX_DEPTH => format!("{}[{}:2]", pick(&HEADERS, input), inner(input)),
        4 if depth < MAX_DEPTH => format!("{}[{}:4]", pick(&HEADERS, input), inner(input)),
        5 if depth < MAX_DEPTH => format!("-({})", inner(input)),
        6 if depth < MAX_DEPTH => format!("({} {} {})", inner(input), pick(&OPERATORS, input), inner(input)),
        _ => pick(&NUMBERS, input).to_owned(),
    }
}

/// Words in any order.
fn words(input: &mut Bytes<'_>) -> String {
    let count = input.u8() % MAX_WORDS;
    let words: Vec<_> = (0..count).map(|_| pick(&WORDS, input)).collect();
    words.join(" ")
}

fn pick<'a>(list: &[&'a str], input: &mut Bytes<'_>) -> &'a str {
    list[usize::from(input.u8()) % list.len()]
}

fn data_link(link: LinkType, swapped: bool) -> DataLink {
    match link {
        LinkType::Ethernet => DataLink::Ethernet,
        LinkType::Raw => DataLink::Raw,
        LinkType::Ppp => DataLink::Ppp,
        LinkType::Cooked => DataLink::Cooked,
        LinkType::Cooked2 => DataLink::Cooked2,
        LinkType::Null if swapped => DataLink::Loop,
        LinkType::Null => DataLink::Null,
    }
}
