//! Several batches under way at once, and several encoders: order, retries and books.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export_support;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use export_support::{
    Call, books, dropped, encoder, figures, names, names_in, next, records, records_of_flows, scripted,
    scripted_settings, until,
};
use flowtable::{FlowKey, FlowRecord};
use tapspan::export::{
    Answer, Batch, BatchEncoder, DropCause, ExportSettings, Exporter, GiveUp, Retry, Sending, Transport,
};

/// Batches of ten records.
fn start(settings: ExportSettings) -> (Exporter, Receiver<Call>) {
    let (transport, calls) = scripted();
    let mut transport = Some(transport);
    let exporter = Exporter::start_with(&[settings], encoder, |_| Ok(transport.take().unwrap())).unwrap();
    (exporter, calls)
}

fn several(in_flight: usize) -> ExportSettings {
    ExportSettings { in_flight, ..scripted_settings("a", 10, 1_000) }
}

#[test]
fn as_many_batches_as_set_are_under_way_and_answers_come_in_any_order() {
    let (exporter, calls) = start(several(3));
    let handle = exporter.handle();
    handle.offer(records_of_flows(0, 50));
    let mut under_way: Vec<_> = (0..3).map(|_| next(&calls)).collect();
    for (call, first) in under_way.iter().zip([0, 10, 20]) {
        assert_eq!(call.names(), names(first, 10));
    }
    assert_eq!((figures(&books(&handle, 0)), books(&handle, 0).in_flight), ((50, 0, 50, 0), 30));
    assert!(calls.try_recv().is_err(), "no more than three");

    under_way.pop().unwrap().answer(Answer::Delivered);
    let fourth = next(&calls);
    assert_eq!(fourth.names(), names(30, 10));
    until(|| books(&handle, 0).in_flight == 30);
    assert_eq!(figures(&books(&handle, 0)), (50, 10, 40, 0));
    fourth.answer(Answer::Refused("no".into()));
    let fifth = next(&calls);
    assert_eq!(fifth.names(), names(40, 10));
    for call in under_way.into_iter().chain([fifth]) {
        call.answer(Answer::Delivered);
    }
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::Rejected)), ((50, 40, 0, 10), 10));
}

#[test]
fn a_batch_does_not_overtake_another_with_a_record_of_the_same_flow() {
    let (exporter, calls) = start(several(4));
    let handle = exporter.handle();
    // The third batch has a record of the first one's flows; the fourth could leave but for its turn.
    let continued = FlowRecord { key: records_of_flows(3, 1)[0].key, ..records(29, 1)[0].clone() };
    let third = [records_of_flows(20, 9), vec![continued]].concat();
    handle.offer([records_of_flows(0, 20), third, records_of_flows(30, 10)].concat());
    let (first, second) = (next(&calls), next(&calls));
    assert_eq!((first.names(), second.names()), (names(0, 10), names(10, 10)));
    until(|| books(&handle, 0).in_flight == 40);
    second.answer(Answer::Delivered);
    until(|| books(&handle, 0).in_flight == 30);
    assert!(calls.try_recv().is_err(), "the third waits for the first");
    first.answer(Answer::retry("not now"));
    let first = next(&calls);
    assert_eq!(first.names(), names(0, 10));
    assert!(calls.try_recv().is_err(), "also while that is tried again");
    first.answer(Answer::Delivered);
    for expected in [20, 30] {
        let call = next(&calls);
        assert_eq!(call.names(), names(expected, 10));
        call.answer(Answer::Delivered);
    }
    assert!(exporter.shutdown(Duration::MAX).is_complete());
}

#[test]
fn what_failed_is_tried_again_one_at_a_time_oldest_first_and_nothing_else_is_begun() {
    let (exporter, calls) = start(several(3));
    let handle = exporter.handle();
    handle.offer(records_of_flows(0, 40));
    let [first, second, third] = [next(&calls), next(&calls), next(&calls)];
    second.answer(Answer::retry("busy"));
    until(|| books(&handle, 0).requests == 1);
    first.answer(Answer::retry("busy"));
    third.answer(Answer::Delivered);
    for (name, answer) in [
        (0, Answer::retry("still busy")),
        (0, Answer::Delivered),
        (10, Answer::Delivered),
        (30, Answer::Delivered),
    ] {
        let call = next(&calls);
        assert_eq!(call.names(), names(name, 10));
        assert!(calls.try_recv().is_err(), "one at a time");
        call.answer(answer);
    }
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), ended.requests, ended.retries), ((40, 40, 0, 0), 7, 3));
}

#[test]
fn each_batch_that_failed_is_given_up_by_itself() {
    let retry = Retry { max_elapsed: Duration::ZERO, ..Retry::default() };
    let (exporter, calls) = start(ExportSettings { retry, ..several(2) });
    exporter.handle().offer(records_of_flows(0, 30));
    let [first, second] = [next(&calls), next(&calls)];
    first.answer(Answer::retry("gone"));
    second.answer(Answer::Delivered);
    next(&calls).answer(Answer::Delivered);
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::RetriesExhausted)), ((30, 20, 0, 10), 10));
}

#[test]
fn a_destination_given_up_books_all_that_was_under_way() {
    let retry = Retry { max_elapsed: Duration::ZERO, give_up: GiveUp::Destination, ..Retry::default() };
    let (exporter, calls) = start(ExportSettings { retry, ..several(3) });
    exporter.handle().offer(records_of_flows(0, 100));
    let [first, _second, _third] = [next(&calls), next(&calls), next(&calls)];
    first.answer(Answer::retry("gone"));
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::RetriesExhausted)), ((100, 0, 0, 100), 100));
}

struct Defective;

impl BatchEncoder for Defective {
    fn encode(&mut self, _: &[FlowRecord]) -> Bytes {
        panic!("a defect in the encoder, made by the test")
    }
}

#[test]
fn a_panic_on_an_encoders_thread_closes_its_destination_with_balanced_books() {
    let (transport, _calls) = scripted();
    let mut transport = Some(transport);
    let all = [ExportSettings { encoders: 2, ..several(2) }];
    let exporter =
        Exporter::start_with(&all, |_| Box::new(Defective), |_| Ok(transport.take().unwrap())).unwrap();
    exporter.handle().offer_blocking(records_of_flows(0, 50));
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::Internal)), ((50, 0, 0, 50), 50));
}

/// Takes batches after a while that differs from one to the next, or refuses them for now; says what it took.
struct Unsteady {
    batches: u32,
    taken: Sender<Vec<String>>,
}

impl Transport for Unsteady {
    fn send(&mut self, batch: Batch) -> Sending<'_> {
        self.batches += 1;
        let (turns, fails) = (self.batches * 5 % 7, self.batches.is_multiple_of(11));
        Box::pin(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            if fails {
                return Answer::retry("not now");
            }
            let names = names_in(&serde_json::from_slice(&batch.body).unwrap());
            self.taken.send(names).unwrap();
            Answer::Delivered
        })
    }

    fn another(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(Unsteady { batches: self.batches + 3, taken: self.taken.clone() }))
    }
}

#[test]
fn records_of_a_flow_arrive_in_order_whatever_becomes_of_their_batches() {
    const FLOWS: u32 = 29;
    const RECORDS: u32 = 4_000;
    for (in_flight, encoders) in [(4, 1), (1, 3), (5, 3)] {
        let (taken, all_taken) = channel();
        let settings = ExportSettings { in_flight, encoders, ..scripted_settings("a", 16, 300) };
        let transport = |_: &ExportSettings| -> Result<Box<dyn Transport>, _> {
            Ok(Box::new(Unsteady { batches: 1, taken: taken.clone() }))
        };
        let exporter = Exporter::start_with(&[settings], encoder, transport).unwrap();
        let handle = exporter.handle();
        // Squares modulo a prime: neighbours are of different flows, and flows come back at uneven distances.
        let of_flow = |record: FlowRecord| {
            let flow = (record.number * record.number) % FLOWS;
            FlowRecord { key: FlowKey { lo_address: 0x0b00_0000 + u128::from(flow), ..record.key }, ..record }
        };
        for first in (0..RECORDS).step_by(100) {
            handle.offer_blocking(records(first, 100).into_iter().map(of_flow).collect());
        }
        assert!(exporter.shutdown(Duration::MAX).is_complete());
        let mut latest = HashMap::new();
        let mut count = 0;
        for name in all_taken.try_iter().flatten() {
            let number: u32 = name.strip_prefix("flow ").unwrap().parse().unwrap();
            let before = latest.insert((number * number) % FLOWS, number);
            assert!(before.is_none_or(|before| before < number), "{number} after {before:?}");
            count += 1;
        }
        assert_eq!(count, RECORDS);
    }
}
