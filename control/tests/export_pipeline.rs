//! Queue, batches, retries, books and shutdown, with a transport the test answers for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export_support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use export_support::{
    Call, books, dropped, encoder, figures, names, next, records, scripted, scripted_settings, settings,
    until,
};
use flowtable::FlowRecord;
use tapspan::export::{
    Answer, Batch, BatchEncoder, DropCause, ExportSettings, Exporter, GiveUp, Retry, Sending, Transport,
};

/// An exporter with one scripted destination.
fn start(settings: ExportSettings) -> (Exporter, Receiver<Call>) {
    let (transport, calls) = scripted();
    let mut transport = Some(transport);
    let exporter = Exporter::start_with(&[settings], encoder, |_| Ok(transport.take().unwrap())).unwrap();
    (exporter, calls)
}

#[test]
fn batches_leave_full_and_in_order_and_the_rest_at_the_shutdown() {
    let (exporter, calls) = start(scripted_settings("a", 10, 100));
    let handle = exporter.handle();
    handle.offer(records(0, 7));
    handle.offer(records(7, 18));
    for first in [0, 10] {
        let call = next(&calls);
        assert_eq!(call.names(), names(first, 10));
        assert_eq!(books(&handle, 0).in_flight, 10);
        call.answer(Answer::Delivered);
    }
    until(|| figures(&books(&handle, 0)) == (25, 20, 5, 0));
    let ended = std::thread::scope(|scope| {
        let ended = scope.spawn(|| exporter.shutdown(Duration::MAX));
        let call = next(&calls);
        assert_eq!(call.names(), names(20, 5));
        call.answer(Answer::Delivered);
        ended.join().unwrap()
    });
    assert!(ended.is_complete());
    assert_eq!(figures(&ended.destinations[0]), (25, 25, 0, 0));
}

#[test]
fn a_full_queue_drops_and_counts_without_blocking() {
    let (exporter, calls) = start(scripted_settings("a", 4, 10));
    let handle = exporter.handle();
    handle.offer(records(0, 25));
    let stuck = next(&calls);
    let now = books(&handle, 0);
    assert_eq!((figures(&now), dropped(&now, DropCause::QueueFull)), ((25, 0, 10, 15), 15));
    stuck.answer(Answer::Delivered);
    let second = next(&calls);
    assert_eq!(second.names(), names(4, 4));
    handle.offer(records(25, 5));
    let now = books(&handle, 0);
    assert_eq!((figures(&now), now.in_flight), ((30, 4, 10, 16), 4));
    assert!(!exporter.shutdown(Duration::ZERO).is_complete());
}

#[test]
fn a_blocking_offer_waits_for_room_and_drops_nothing() {
    let (exporter, calls) = start(scripted_settings("a", 4, 4));
    let handle = exporter.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| handle.offer_blocking(records(0, 12)));
        for first in [0, 4, 8] {
            let call = next(&calls);
            assert_eq!(call.names(), names(first, 4));
            assert_eq!(books(&handle, 0).waiting, 4);
            call.answer(Answer::Delivered);
        }
    });
    assert_eq!(figures(&exporter.shutdown(Duration::MAX).destinations[0]), (12, 12, 0, 0));
}

#[test]
fn an_offer_with_a_limit_drops_what_found_no_room_in_time() {
    let (exporter, calls) = start(scripted_settings("a", 4, 6));
    let handle = exporter.handle();
    handle.offer_within(records(0, 9), Duration::from_millis(1));
    let _never_answered = next(&calls);
    let now = books(&handle, 0);
    assert_eq!((figures(&now), dropped(&now, DropCause::QueueFull)), ((9, 0, 6, 3), 3));
    exporter.shutdown(Duration::ZERO);
}

#[test]
fn a_failure_that_may_pass_is_retried_with_the_same_bytes() {
    let (exporter, calls) = start(scripted_settings("a", 3, 100));
    let handle = exporter.handle();
    handle.offer(records(0, 3));
    let first = next(&calls);
    let bytes = first.batch.clone();
    first.answer(Answer::retry("out of order"));
    let second = next(&calls);
    assert_eq!(second.batch, bytes);
    let now = books(&handle, 0);
    assert_eq!((figures(&now), now.in_flight, now.requests), ((3, 0, 3, 0), 3, 1));
    assert_eq!(now.last_error.unwrap().text, "out of order");
    second.answer(Answer::Retry { after: Some(Duration::from_millis(2)), reason: "later".into() });
    let third = next(&calls);
    assert_eq!(third.batch, bytes);
    third.answer(Answer::Delivered);
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), ended.requests, ended.retries), ((3, 3, 0, 0), 3, 2));
    assert_eq!(handle.latency_ns()[0].1.len(), 3);
}

#[test]
fn a_refused_batch_is_rejected_and_the_next_one_goes_on() {
    let (exporter, calls) = start(scripted_settings("a", 3, 100));
    exporter.handle().offer(records(0, 6));
    next(&calls).answer(Answer::Refused("bad request".into()));
    let call = next(&calls);
    assert_eq!(call.names(), names(3, 3));
    call.answer(Answer::Delivered);
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::Rejected)), ((6, 3, 0, 3), 3));
    assert_eq!(ended.last_error.unwrap().text, "bad request");
}

#[test]
fn spans_rejected_by_a_partial_success_are_counted_and_never_more_than_were_sent() {
    let (exporter, calls) = start(scripted_settings("a", 3, 100));
    exporter.handle().offer(records(0, 9));
    for rejected in [2, 0, 99] {
        next(&calls).answer(Answer::Partial { rejected, message: format!("{rejected} refused") });
    }
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::Rejected)), ((9, 4, 0, 5), 5));
    assert_eq!(ended.last_error.unwrap().text, "99 refused");
}

#[test]
fn exhausted_retries_drop_the_batch_and_the_next_one_is_tried() {
    let retry = Retry { max_elapsed: Duration::ZERO, ..Retry::default() };
    let (exporter, calls) = start(ExportSettings { retry, ..scripted_settings("a", 3, 100) });
    exporter.handle().offer(records(0, 6));
    next(&calls).answer(Answer::retry("gone"));
    let call = next(&calls);
    assert_eq!(call.names(), names(3, 3));
    call.answer(Answer::Delivered);
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::RetriesExhausted)), ((6, 3, 0, 3), 3));
}

#[test]
fn a_destination_given_up_lets_a_blocked_replay_go_on_and_counts_everything() {
    let retry = Retry { max_elapsed: Duration::ZERO, give_up: GiveUp::Destination, ..Retry::default() };
    let (exporter, calls) = start(ExportSettings { retry, ..scripted_settings("a", 3, 4) });
    let handle = exporter.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| handle.offer_blocking(records(0, 50)));
        next(&calls).answer(Answer::retry("gone"));
    });
    handle.offer_blocking(records(50, 10));
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::RetriesExhausted)), ((60, 0, 0, 60), 60));
}

#[test]
fn a_shutdown_ends_within_its_grace_although_the_receiver_never_answers() {
    let (exporter, calls) = start(scripted_settings("a", 3, 100));
    let handle = exporter.handle();
    handle.offer(records(0, 8));
    let _never_answered = next(&calls);
    let ended = exporter.shutdown(Duration::from_millis(20));
    assert_eq!(figures(&ended.destinations[0]), (8, 0, 0, 8));
    assert_eq!(dropped(&ended.destinations[0], DropCause::Shutdown), 8);
    assert_eq!(exporter.shutdown(Duration::MAX), ended);

    handle.offer(records(8, 2));
    handle.offer_blocking(records(10, 2));
    assert_eq!(dropped(&books(&handle, 0), DropCause::Shutdown), 12);
}

#[test]
fn a_second_shutdown_with_less_grace_ends_the_first() {
    let (exporter, calls) = start(scripted_settings("a", 3, 100));
    exporter.handle().offer(records(0, 3));
    let _never_answered = next(&calls);
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| exporter.shutdown(Duration::MAX));
        // Whichever comes first, both return.
        let hasty = exporter.shutdown(Duration::ZERO);
        let patient = patient.join().unwrap();
        assert_eq!(figures(&hasty.destinations[0]), figures(&patient.destinations[0]));
        assert_eq!(figures(&hasty.destinations[0]), (3, 0, 0, 3));
    });
}

#[test]
fn a_part_of_a_batch_leaves_after_the_schedule_delay_or_a_flush() {
    let soon = Some(Duration::from_millis(1));
    let (exporter, calls) = start(ExportSettings { schedule_delay: soon, ..scripted_settings("a", 10, 100) });
    exporter.handle().offer(records(0, 3));
    next(&calls).answer(Answer::Delivered);
    drop(exporter);

    let (exporter, calls) = start(scripted_settings("a", 10, 100));
    exporter.handle().offer(records(0, 3));
    exporter.handle().flush();
    let call = next(&calls);
    assert_eq!(call.names(), names(0, 3));
    call.answer(Answer::Delivered);
    assert!(exporter.shutdown(Duration::MAX).is_complete());
}

#[test]
fn a_destination_that_hangs_holds_back_no_other() {
    let (stuck, stuck_calls) = scripted();
    let (free, free_calls) = scripted();
    let mut transports = vec![free, stuck];
    let all = [scripted_settings("stuck", 5, 10), scripted_settings("free", 5, 100)];
    let exporter = Exporter::start_with(&all, encoder, |_| Ok(transports.pop().unwrap())).unwrap();
    let handle = exporter.handle();
    handle.offer(records(0, 50));
    let _never_answered = next(&stuck_calls);
    for first in (0..50).step_by(5) {
        let call = next(&free_calls);
        assert_eq!(call.names(), names(first, 5));
        call.answer(Answer::Delivered);
    }
    until(|| books(&handle, 1).delivered == 50);
    assert_eq!(figures(&books(&handle, 0)), (50, 0, 10, 40));
    exporter.shutdown(Duration::ZERO);
}

struct Defective;

impl BatchEncoder for Defective {
    fn encode(&mut self, _: &[FlowRecord]) -> Bytes {
        panic!("a defect in the encoder, made by the test")
    }
}

#[test]
fn a_panic_closes_its_destination_with_balanced_books() {
    let (transport, _calls) = scripted();
    let mut transport = Some(transport);
    let all = [scripted_settings("a", 5, 10)];
    let exporter =
        Exporter::start_with(&all, |_| Box::new(Defective), |_| Ok(transport.take().unwrap())).unwrap();
    let handle = exporter.handle();
    handle.offer_blocking(records(0, 50));
    let ended = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&ended), dropped(&ended, DropCause::Internal)), ((50, 0, 0, 50), 50));
}

/// Answers at once, each kind in its turn.
struct Moody(u64);

impl Transport for Moody {
    fn send(&mut self, batch: Batch) -> Sending<'_> {
        self.0 += 1;
        let answer = match self.0 % 5 {
            0 => Answer::Refused("no".into()),
            1 => Answer::retry("not now"),
            2 => Answer::Partial { rejected: batch.spans / 2, message: "half".into() },
            _ => Answer::Delivered,
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            answer
        })
    }
}

#[test]
fn the_books_balance_at_every_moment_seen_from_another_thread() {
    const CHUNKS: u32 = 400;
    const CHUNK: u32 = 37;
    let all = [scripted_settings("a", 16, 200), scripted_settings("b", 64, 64)];
    let exporter = Exporter::start_with(&all, encoder, |_| Ok(Box::new(Moody(0)))).unwrap();
    let handle = exporter.handle();
    let done = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let observer = scope.spawn(|| {
            let mut seen = 0_u64;
            // Pairs with nothing but itself: the test only needs the loop to end some time after the store.
            while !done.load(Ordering::Relaxed) {
                for destination in handle.ledger() {
                    assert!(destination.is_balanced(), "{destination:?}");
                    assert!(destination.waiting <= destination.capacity, "{destination:?}");
                    seen += 1;
                }
            }
            seen
        });
        let sweeps = [false, true].map(|blocking| {
            let handle = &handle;
            scope.spawn(move || {
                for chunk in 0..CHUNKS {
                    let chunk = records(chunk * CHUNK, CHUNK);
                    if blocking { handle.offer_blocking(chunk) } else { handle.offer(chunk) }
                }
            })
        });
        for sweep in sweeps {
            sweep.join().unwrap();
        }
        let ended = exporter.shutdown(Duration::MAX);
        done.store(true, Ordering::Relaxed);
        assert!(observer.join().unwrap() > 0);
        ended
    });
    for books in ended.destinations {
        assert!(books.is_balanced() && books.waiting == 0, "{books:?}");
        assert_eq!(books.records, u64::from(2 * CHUNKS * CHUNK));
        assert!(books.delivered > 0 && books.dropped.of(DropCause::Rejected) > 0, "{books:?}");
    }
}

#[test]
fn settings_that_cannot_work_stop_the_start() {
    let twice = [settings("grpc://127.0.0.1:1", 5), settings("grpc://127.0.0.1:1", 5)];
    let error = Exporter::start(&twice, encoder).err().unwrap().to_string();
    assert_eq!(error, "export: \"grpc://127.0.0.1:1\" is not usable: name each destination once");
    let none = [ExportSettings { max_batch: 0, ..settings("stdout", 5) }];
    assert!(Exporter::start(&none, encoder).err().unwrap().to_string().starts_with("max_batch"));
}
