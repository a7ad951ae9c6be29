//! The protocol between Writer and Sweeper under every interleaving loom can reach.
//!
//! The Sweeper runs in the spawned thread, but for one model: loom looks for races from an operation back to the last one on the same word,
//! and the Writer loads each word before it stores it, which would hide the Sweeper's earlier load.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p flowtable --test loom --release`. What loom cannot see: the bounded
//! queues are crossbeam's outside the model, and memory orderings weaker than C11 allows do not exist on real machines.
#![cfg(loom)]

mod packets;

use flowtable::{EndReason, FlowRecord, Nanos, Packet, Timeouts, Writer, table};
use packets::{MS, Tcp, config, tcp, udp};

const A: (u32, u16) = (10, 4_000);
const B: (u32, u16) = (20, 53);

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 100_000;
    // A copy torn by a reopened slot reads some thirty words, each of which loom may take from either flow: that one model
    // is cut off here, the other two end by themselves well before.
    builder.max_permutations = Some(50_000);
    let tried = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&tried);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        check();
    });
    let tried = tried.load(std::sync::atomic::Ordering::Relaxed);
    println!("{tried} interleavings");
    assert!(tried > 100, "the model hardly looked: {tried} interleavings");
}

#[test]
fn a_record_cut_while_the_writer_counts_is_consistent_and_nothing_is_lost() {
    model(|| {
        let (mut writer, mut sweeper) = table(&config(2)).unwrap();
        writer.update_burst(&[udp(A, B, 1)]);
        let sweep = loom::thread::spawn(move || {
            let mut records = Vec::new();
            sweeper.flush(Nanos(3 * MS), &mut records);
            (sweeper, records)
        });
        writer.update_burst(&[udp(A, B, 2)]);
        writer.update_burst(&[udp(B, A, 3)]);
        let (mut sweeper, mut records) = sweep.join().unwrap();
        sweeper.flush(Nanos(3 * MS), &mut records);
        let packets: u64 =
            records.iter().map(|r| r.to_destination.packets_delta + r.to_source.packets_delta).sum();
        let bytes: u64 = records.iter().map(|r| r.to_destination.bytes_delta + r.to_source.bytes_delta).sum();
        assert_eq!((packets, bytes), (3, 300));
        for record in &records {
            let (there, back) = (record.to_destination, record.to_source);
            let counted = there.packets_total + back.packets_total;
            assert_eq!(there.bytes_total + back.bytes_total, counted * 100, "words of one moment");
            assert_eq!(record.end, Nanos(counted * MS), "packet n came at n ms");
        }
    });
}

#[test]
fn a_packet_racing_with_retirement_is_in_exactly_one_record() {
    model(|| {
        let (mut writer, mut sweeper) = table(&config(2)).unwrap();
        writer.update_burst(&[udp(A, B, 0)]);
        let sweep = loom::thread::spawn(move || {
            let mut records = Vec::new();
            sweeper.sweep(Nanos(30_000 * MS), &Timeouts::default(), &mut records);
            (sweeper, records)
        });
        writer.serve_retirements(1);
        writer.update_burst(&[udp(A, B, 30_000)]);
        writer.serve_retirements(1);
        let (mut sweeper, mut records) = sweep.join().unwrap();
        sweeper.flush(Nanos(30_000 * MS), &mut records);
        let packets: u64 = records.iter().map(|r| r.to_destination.packets_delta).sum();
        assert_eq!(packets, 2, "{records:?} {:?}", writer.stats());
    });
}

/// The Writer's operations of a five-tuple that begins anew after a reset, and what both its flows must come to.
fn reset_and_begin_anew(writer: &mut Writer) {
    writer.update_burst(&[tcp(B, A, 2, &Tcp { sequence: 0, acknowledgment: 0, payload: 0, flags: 0x14 })]);
    writer.update_burst(&[syn(2, 3)]);
}

fn syn(sequence: u32, at_ms: u64) -> Packet {
    tcp(A, B, at_ms, &Tcp { sequence, acknowledgment: 0, payload: 0, flags: 0x02 })
}

fn both_flows_are_whole(records: &[FlowRecord]) {
    let of = |start: u64| records.iter().filter(move |r| r.flow_start == Nanos(start * MS));
    let packets = |r: &FlowRecord| r.to_destination.packets_delta + r.to_source.packets_delta;
    assert_eq!(of(1).map(packets).sum::<u64>(), 2);
    assert_eq!(of(3).map(packets).sum::<u64>(), 1);
    assert_eq!(of(3).map(|r| r.end_reason).collect::<Vec<_>>(), [EndReason::ForcedEnd]);
}

#[test]
fn a_slot_reused_while_the_sweeper_looks_keeps_both_flows_whole() {
    model(|| {
        let (mut writer, mut sweeper) = table(&config(1)).unwrap();
        writer.update_burst(&[syn(1, 1)]);
        let sweep = loom::thread::spawn(move || {
            let mut records = Vec::new();
            sweeper.flush(Nanos(3 * MS), &mut records);
            (sweeper, records)
        });
        reset_and_begin_anew(&mut writer);
        let (mut sweeper, mut records) = sweep.join().unwrap();
        sweeper.flush(Nanos(3 * MS), &mut records);
        both_flows_are_whole(&records);
    });
}

/// The same with the Writer spawned: here it is the mailbox that the interleavings turn on.
#[test]
fn a_flow_handed_over_while_the_sweeper_looks_is_counted_once() {
    model(|| {
        let (mut writer, mut sweeper) = table(&config(1)).unwrap();
        writer.update_burst(&[syn(1, 1)]);
        let worker = loom::thread::spawn(move || reset_and_begin_anew(&mut writer));
        let mut records = Vec::new();
        sweeper.flush(Nanos(3 * MS), &mut records);
        worker.join().unwrap();
        sweeper.flush(Nanos(3 * MS), &mut records);
        both_flows_are_whole(&records);
    });
}
