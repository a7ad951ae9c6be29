//! What each sweep cuts against the timeouts worked out flow by flow, however sweeps and packets are spread over time: a flow is
//! passed over only while nothing is due.
#![cfg(not(loom))]

mod packets;

use std::collections::HashMap;

use flowtable::{EndReason, FlowRecord, Nanos, Timeouts, table};
use packets::{MS, Tcp, config, tcp, udp};
use proptest::prelude::*;

const SERVER: (u32, u16) = (1_000, 80);
const RST: u8 = 0x14;
const ACK: u8 = 0x10;

/// In ms, each another than by default.
const ACTIVE: u64 = 5_000;
const UDP_IDLE: u64 = 7_000;
const TCP_IDLE: u64 = 11_000;
const LINGER: u64 = 1_500;

fn timeouts() -> Timeouts {
    Timeouts {
        active_ns: ACTIVE * MS,
        udp_ns: UDP_IDLE * MS,
        tcp_ns: TCP_IDLE * MS,
        close_linger_ns: LINGER * MS,
        ..Timeouts::default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Datagram(u16),
    /// A segment of a connection that was under way before.
    Segment(u16),
    Reset(u16),
    Sweep,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            3 => (0u16..12).prop_map(Step::Datagram),
            3 => (0u16..12).prop_map(Step::Segment),
            1 => (0u16..12).prop_map(Step::Reset),
            6 => Just(Step::Sweep),
            4 => (1u64..2_000).prop_map(Step::Wait),
            1 => (2_000u64..400_000).prop_map(Step::Wait),
        ],
        1..250,
    )
}

/// A flow by its kind and client port, in ms.
#[derive(Clone, Copy)]
struct Flow {
    window_from: u64,
    last_seen: u64,
    closed_at: Option<u64>,
    /// Packets no record has yet.
    new_packets: u64,
}

/// What is due at `now`, and whether the flow ends.
fn due(flow: &Flow, is_tcp: bool, now: u64) -> Option<(EndReason, bool)> {
    let idle = if is_tcp { TCP_IDLE } else { UDP_IDLE };
    if flow.closed_at.is_some_and(|at| now - at >= LINGER) {
        Some((EndReason::EndOfFlowDetected, true))
    } else if now - flow.last_seen >= idle {
        Some((EndReason::IdleTimeout, true))
    } else if now - flow.window_from >= ACTIVE {
        Some((EndReason::ActiveTimeout, false))
    } else {
        None
    }
}

type Due = (bool, u16, EndReason);

fn expected(flows: &mut HashMap<(bool, u16), Flow>, now: u64) -> Vec<Due> {
    let mut all = Vec::new();
    flows.retain(|&(is_tcp, port), flow| {
        let Some((reason, ends)) = due(flow, is_tcp, now) else { return true };
        if flow.new_packets > 0 {
            all.push((is_tcp, port, reason));
        }
        (flow.window_from, flow.new_packets) = (now, 0);
        !ends
    });
    all.sort_unstable_by_key(|&(is_tcp, port, _)| (is_tcp, port));
    all
}

fn told(records: &[FlowRecord]) -> Vec<Due> {
    let of = |r: &FlowRecord| (r.key.protocol == 6, r.key.lo_port.max(r.key.hi_port), r.end_reason);
    let mut all: Vec<Due> = records.iter().map(of).collect();
    all.sort_unstable_by_key(|&(is_tcp, port, _)| (is_tcp, port));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_sweep_cuts_what_is_due_and_nothing_else(steps in steps(), began in 0u64..1_000_000) {
        let (mut writer, mut sweeper) = table(&config(64)).unwrap();
        let mut flows: HashMap<(bool, u16), Flow> = HashMap::new();
        let mut now = began;
        for step in steps {
            let (is_tcp, flow, flags) = match step {
                Step::Datagram(flow) => (false, flow, 0),
                Step::Segment(flow) => (true, flow, ACK),
                Step::Reset(flow) => (true, flow, RST),
                Step::Wait(ms) => {
                    now += ms;
                    continue;
                }
                Step::Sweep => {
                    let mut records: Vec<FlowRecord> = Vec::new();
                    sweeper.sweep(Nanos(now * MS), &timeouts(), &mut records);
                    writer.serve_retirements(100);
                    prop_assert_eq!(told(&records), expected(&mut flows, now), "at {} ms", now);
                    continue;
                }
            };
            let client = (u32::from(flow) + 1, flow + 5_000);
            let header = Tcp { sequence: 1, acknowledgment: 1, payload: 0, flags };
            let packet = if is_tcp { tcp(client, SERVER, now, &header) } else { udp(client, SERVER, now) };
            prop_assert_eq!(writer.update_burst(&[packet]).in_flows, 1);
            let new = Flow { window_from: now, last_seen: now, closed_at: None, new_packets: 0 };
            let flow = flows.entry((is_tcp, client.1)).or_insert(new);
            flow.last_seen = now;
            flow.new_packets += 1;
            if flags == RST && flow.closed_at.is_none() {
                flow.closed_at = Some(now);
            }
        }
    }
}
