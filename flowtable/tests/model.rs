//! Writer and Sweeper against a plain map, under random packets, sweeps, retirements and flushes.
#![cfg(not(loom))]

mod packets;

use std::collections::HashMap;

use flowtable::{FlowKey, FlowRecord, Nanos, Timeouts, table};
use packets::{MS, Tcp, config, tcp, udp};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Packet { flow: u32, back: bool, tcp_flags: Option<u8>, sequence: u32 },
    Sweep,
    Retire(usize),
    Flush,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let packet = (0u32..24, any::<bool>(), any::<Option<u8>>(), 0u32..4)
        .prop_map(|(flow, back, tcp_flags, sequence)| Step::Packet { flow, back, tcp_flags, sequence });
    prop::collection::vec(
        prop_oneof![
            12 => packet,
            2 => Just(Step::Sweep),
            2 => (0usize..4).prop_map(Step::Retire),
            1 => Just(Step::Flush),
            2 => (0u64..70_000).prop_map(Step::Wait),
        ],
        1..300,
    )
}

/// Packets and octets of each key by canonical direction: what was sent in, and what the records say came out.
type Sums = HashMap<FlowKey, [[u64; 2]; 2]>;

fn add(sums: &mut Sums, key: FlowKey, side: usize, packets: u64, bytes: u64) {
    let sum = sums.entry(key).or_default();
    sum[side][0] += packets;
    sum[side][1] += bytes;
}

fn check_chain(records: &[FlowRecord]) -> Result<(), TestCaseError> {
    let mut last: HashMap<(FlowKey, u64), FlowRecord> = HashMap::new();
    for record in records {
        prop_assert!(record.start <= record.end);
        prop_assert!(record.to_destination.packets_delta + record.to_source.packets_delta > 0);
        let id = (record.key, record.flow_start.0);
        if let Some(before) = last.get(&id).filter(|before| record.number > before.number) {
            prop_assert_eq!(record.number, before.number + 1);
            prop_assert_eq!(record.start, before.end);
            prop_assert_eq!(record.forward, before.forward);
            for (now, then) in
                [(record.to_destination, before.to_destination), (record.to_source, before.to_source)]
            {
                prop_assert_eq!(now.packets_total, then.packets_total + now.packets_delta);
                prop_assert_eq!(now.bytes_total, then.bytes_total + now.bytes_delta);
            }
        } else {
            prop_assert_eq!(record.number, 0);
            prop_assert_eq!(record.start, record.flow_start);
            prop_assert_eq!(record.to_destination.packets_delta, record.to_destination.packets_total);
        }
        last.insert(id, record.clone());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_packet_counted_is_in_exactly_one_record(steps in steps(), capacity in 1u32..40) {
        let (mut writer, mut sweeper) = table(&config(capacity)).unwrap();
        let (mut records, mut sent) = (Vec::new(), Sums::new());
        let mut now = 1_000;
        for step in steps {
            match step {
                Step::Packet { flow, back, tcp_flags, sequence } => {
                    let (a, b) = ((1 + flow, 4_000), (1_000, 80));
                    let (from, to) = if back { (b, a) } else { (a, b) };
                    let packet = match tcp_flags {
                        None => udp(from, to, now),
                        Some(flags) => {
                            tcp(from, to, now, &Tcp { sequence, acknowledgment: sequence + 1, payload: 0, flags })
                        }
                    };
                    if writer.update_burst(&[packet]).in_flows == 1 {
                        add(&mut sent, packet.key, packet.direction as usize, 1, u64::from(packet.bytes));
                    }
                    now += 1;
                }
                Step::Sweep => { sweeper.sweep(Nanos(now * MS), &Timeouts::default(), &mut records); }
                Step::Retire(limit) => { writer.serve_retirements(limit); }
                Step::Flush => { sweeper.flush(Nanos(now * MS), &mut records); }
                Step::Wait(ms) => now += ms,
            }
            let stats = writer.stats();
            prop_assert_eq!(stats.opened - stats.reused, stats.live + stats.freed + stats.evicted);
            prop_assert!(stats.live <= stats.capacity);
        }
        sweeper.flush(Nanos(now * MS), &mut records);
        let mut exported = Sums::new();
        for record in &records {
            let forward = record.forward as usize;
            let (there, back) = (record.to_destination, record.to_source);
            add(&mut exported, record.key, forward, there.packets_delta, there.bytes_delta);
            add(&mut exported, record.key, 1 - forward, back.packets_delta, back.bytes_delta);
        }
        prop_assert_eq!(exported, sent);
        check_chain(&records)?;
    }
}
