//! Where a connection stands when its record is cut, why it is cut, and what it failed at.

use super::build::flag::{ACK, FIN, RST, SYN};
use super::expected::Expected;
use super::talk::{MS, S, Talk};
use super::tape::{Tape, gives};

/// A segment of [`CASES`], 10 ms after the one before: whether the client sends it, flags, sequence, acknowledgment.
type Step = (bool, u8, u32, u32);

const C_SYN: Step = (true, SYN, 100, 0);
const S_SYN: Step = (false, SYN, 500, 0);
const S_SYN_ACK: Step = (false, SYN | ACK, 500, 101);
const C_ACK: Step = (true, ACK, 101, 501);
const C_FIN: Step = (true, FIN | ACK, 101, 501);
const S_FIN: Step = (false, FIN | ACK, 501, 101);
const S_ACK_OF_FIN: Step = (false, ACK, 501, 102);
const S_FIN_AND_ACK: Step = (false, FIN | ACK, 501, 102);
const C_ACK_OF_FIN: Step = (true, ACK, 102, 502);
const C_ACKS_FIRST: Step = (true, ACK, 101, 502);
const C_FIN_AND_ACK: Step = (true, FIN | ACK, 101, 502);
const S_LAST_ACK: Step = (false, ACK, 502, 102);

/// What a connection came through, where it then stands, and what a RST of the client and of the server is then.
struct Case {
    steps: &'static [Step],
    state: &'static str,
    /// Whether both FINs are acknowledged.
    is_over: bool,
    failure: [Option<&'static str>; 2],
}

const RESET: [Option<&str>; 2] = [Some("connection_reset"); 2];
const NEITHER: [Option<&str>; 2] = [None; 2];

const CASES: [Case; 12] = [
    Case { steps: &[C_SYN], state: "syn_sent", is_over: false, failure: [None, Some("connection_refused")] },
    Case { steps: &[C_SYN, S_SYN], state: "syn_received", is_over: false, failure: NEITHER },
    // Half open: the client's endpoint has not answered yet, as far as the probe can tell.
    Case { steps: &[C_SYN, S_SYN_ACK], state: "syn_sent", is_over: false, failure: NEITHER },
    Case { steps: &[C_SYN, S_SYN_ACK, C_ACK], state: "established", is_over: false, failure: RESET },
    Case { steps: &[C_SYN, S_SYN_ACK, C_ACK, C_FIN], state: "fin_wait_1", is_over: false, failure: RESET },
    Case {
        steps: &[C_SYN, S_SYN_ACK, C_ACK, C_FIN, S_ACK_OF_FIN],
        state: "fin_wait_2",
        is_over: false,
        failure: RESET,
    },
    Case {
        steps: &[C_SYN, S_SYN_ACK, C_ACK, C_FIN, S_FIN],
        state: "closing",
        is_over: false,
        failure: RESET,
    },
    Case {
        steps: &[C_SYN, S_SYN_ACK, C_ACK, C_FIN, S_FIN_AND_ACK, C_ACK_OF_FIN],
        state: "time_wait",
        is_over: true,
        failure: NEITHER,
    },
    Case { steps: &[C_SYN, S_SYN_ACK, C_ACK, S_FIN], state: "close_wait", is_over: false, failure: RESET },
    Case {
        steps: &[C_SYN, S_SYN_ACK, C_ACK, S_FIN, C_ACKS_FIRST],
        state: "close_wait",
        is_over: false,
        failure: RESET,
    },
    Case {
        steps: &[C_SYN, S_SYN_ACK, C_ACK, S_FIN, C_FIN_AND_ACK],
        state: "last_ack",
        is_over: false,
        failure: RESET,
    },
    Case {
        steps: &[C_SYN, S_SYN_ACK, C_ACK, S_FIN, C_FIN_AND_ACK, S_LAST_ACK],
        state: "closed",
        is_over: true,
        failure: NEITHER,
    },
];

impl Case {
    /// The packets, and the events they are.
    fn play(&self, mut talk: Talk) -> (Talk, Vec<(u64, &'static str)>) {
        let mut events = Vec::new();
        for (step, (by_client, flags, sequence, acknowledgment)) in (0..).zip(self.steps) {
            let at = step * 10 * MS;
            if *by_client {
                talk.up(at, *flags, *sequence, *acknowledgment, 0);
            } else {
                talk.down(at, *flags, *sequence, *acknowledgment, 0);
            }
            let event = match *flags {
                SYN => "tcp.syn",
                flags if flags == SYN | ACK => "tcp.syn_ack",
                flags if flags & FIN != 0 => "tcp.fin",
                _ if step == 2 => "tcp.established",
                _ => continue,
            };
            events.push((at, event));
        }
        (talk, events)
    }

    /// When the packet after the last one comes.
    fn next_at(&self) -> u64 {
        u64::try_from(self.steps.len()).expect("few") * 10 * MS
    }

    /// With the latencies of the handshake, as far as it went.
    fn timed(&self, span: Expected) -> Expected {
        match self.steps {
            [C_SYN, S_SYN_ACK, C_ACK, ..] => span.handshake(10 * MS, 10 * MS),
            [C_SYN, S_SYN_ACK] => span.time("handshake.snd", 10 * MS, None),
            _ => span,
        }
    }
}

#[test]
fn the_state_is_that_of_the_initiators_endpoint() {
    for case in &CASES {
        for talk in Talk::tcp_both_orders() {
            let (talk, events) = case.play(talk);
            let span = case.timed(talk.span(case.state)).events(&events);
            gives(&talk, if case.is_over { span.ends_by("end_of_flow_detected") } else { span });
        }
    }
}

#[test]
fn a_rst_closes_in_every_state_and_is_a_failure_only_before_the_end() {
    for case in &CASES {
        for (by_server, failure) in [(false, case.failure[0]), (true, case.failure[1])] {
            let (mut talk, mut events) = case.play(Talk::tcp());
            let at = case.next_at();
            match by_server {
                // Nothing was sent that the reset could take its sequence number from (RFC 9293 §3.10.7.1).
                true if case.state == "syn_sent" => talk.down(at, RST | ACK, 0, 101, 0),
                true => talk.down(at, RST, 501, 0, 0),
                false => talk.up(at, RST, 101, 0, 0),
            }
            events.push((at, "tcp.rst"));
            let span = case.timed(talk.span("closed")).ends_by("end_of_flow_detected").events(&events);
            let span = if let Some(failure) = failure { span.error(failure) } else { span };
            Tape::of([&talk]).and_later(at + 5 * S).replayed(&[]).gives([span]);
        }
    }
}

#[test]
fn a_closed_flow_lingers_for_2_s_and_other_flows_until_they_are_idle() {
    for case in CASES.iter().filter(|case| case.state != "syn_sent" && case.state != "syn_received") {
        let (talk, events) = case.play(Talk::tcp());
        let last = case.next_at() - 10 * MS;
        let span = case.timed(talk.span(case.state)).events(&events);
        // With an active timeout in between there would be two reasons.
        let flags = ["--set", "flow.active_timeout=1h"];
        if case.is_over {
            let span = span.ends_by("end_of_flow_detected");
            let mut again = Talk::tcp();
            for (linger, flows) in [(2 * S - MS, 1), (3 * S, 2)] {
                // A straggler is of the old flow while that lingers.
                again.up(last + linger, ACK, 102, 502, 0);
                let seen = Tape::of([&talk, &again]).replayed(&flags).seen();
                assert_eq!(seen.len(), flows, "{}", case.state);
                again = Talk::tcp();
            }
            Tape::of([&talk]).and_later(last + 3 * S).replayed(&flags).gives([span]);
        } else {
            Tape::of([&talk]).and_later(last + 120 * S - 1).replayed(&flags).gives([span.clone()]);
            let ended = Tape::of([&talk]).and_later(last + 121 * S).replayed(&flags);
            ended.gives([span.ends_by("idle_timeout")]);
        }
    }
}

#[test]
fn a_syn_nobody_answers_times_out_after_10_s_and_only_then() {
    let mut talk = Talk::tcp();
    let mut events = Vec::new();
    for (again, at) in [(false, 0), (true, S), (true, 3 * S)] {
        talk.up(at, SYN, 100, 0, 0);
        events.push((at, "tcp.syn"));
        if again {
            events.push((at, "tcp.retransmission"));
        }
    }
    let span = talk.span("syn_sent").set("flow.tcp.retransmissions", 2).events(&events);
    Tape::of([&talk]).and_later(13 * S - 1).replayed(&[]).gives([span.clone()]);
    let span = span.ends_by("idle_timeout").error("timed_out");
    Tape::of([&talk]).and_later(13 * S).replayed(&[]).gives([span]);
}

#[test]
fn a_half_open_connection_ends_idle_after_10_s_without_a_failure() {
    let mut talk = Talk::tcp();
    talk.up(0, SYN, 100, 0, 0);
    talk.down(MS, SYN | ACK, 500, 101, 0);
    let span = talk
        .span("syn_sent")
        .time("handshake.snd", MS, None)
        .ends_by("idle_timeout")
        .events(&[(0, "tcp.syn"), (MS, "tcp.syn_ack")]);
    Tape::of([&talk]).and_later(11 * S).replayed(&[]).gives([span]);
}

#[test]
fn a_simultaneous_open_is_established_by_the_answers() {
    for mut talk in Talk::tcp_both_orders() {
        talk.up(0, SYN, 100, 0, 0);
        talk.down(5 * MS, SYN, 500, 0, 0);
        talk.up(30 * MS, SYN | ACK, 100, 501, 0);
        talk.down(31 * MS, SYN | ACK, 500, 101, 0);
        // What each side sends again by its SYN/ACK are octets that were seen.
        let span = talk
            .span("established")
            .time("handshake.snd", 31 * MS, None)
            .set("flow.tcp.retransmissions", 1)
            .set("flow.reverse.tcp.retransmissions", 1)
            .events(&[(0, "tcp.syn"), (5 * MS, "tcp.syn")])
            .events(&[(30 * MS, "tcp.syn_ack"), (30 * MS, "tcp.retransmission")])
            .events(&[(31 * MS, "tcp.syn_ack"), (31 * MS, "tcp.established")])
            .events(&[(31 * MS, "tcp.retransmission")]);
        gives(&talk, span);
    }
}

/// Ends a connection; gives the state it is then in, and its failure.
type Close = fn(&mut Talk) -> (&'static str, Option<&'static str>);

#[test]
fn a_5_tuple_used_again_after_a_close_is_a_new_flow() {
    let closes: [Close; 2] = [
        |talk| {
            talk.up(60 * MS, FIN | ACK, 111, 501, 0);
            talk.down(61 * MS, FIN | ACK, 501, 112, 0);
            talk.up(62 * MS, ACK, 112, 502, 0);
            ("time_wait", None)
        },
        |talk| {
            talk.down(62 * MS, RST, 501, 0, 0);
            ("closed", Some("connection_reset"))
        },
    ];
    for close in closes {
        let mut old = Talk::tcp();
        old.handshake();
        old.up(50 * MS, ACK, 101, 501, 10);
        old.up(51 * MS, ACK, 101, 501, 10);
        let (state, failure) = close(&mut old);
        let mut new = Talk::tcp();
        new.up(100 * MS, SYN, 9_000, 0, 0);
        new.down(103 * MS, SYN | ACK, 77, 9_001, 0);
        let ends: &[(u64, &str)] = match failure {
            None => &[(60 * MS, "tcp.fin"), (61 * MS, "tcp.fin")],
            Some(_) => &[(62 * MS, "tcp.rst")],
        };
        let first = old
            .span(state)
            .handshake(30 * MS, 10 * MS)
            .ends_by("end_of_flow_detected")
            .set("flow.tcp.retransmissions", 1)
            .events(&[(0, "tcp.syn"), (30 * MS, "tcp.syn_ack"), (40 * MS, "tcp.established")])
            .events(&[(51 * MS, "tcp.retransmission")])
            .events(ends);
        let first = if let Some(failure) = failure { first.error(failure) } else { first };
        let second = new
            .span("syn_sent")
            .time("handshake.snd", 3 * MS, None)
            .events(&[(100 * MS, "tcp.syn"), (103 * MS, "tcp.syn_ack")]);
        Tape::of([&old, &new]).replayed(&[]).gives([first, second]);
    }
}

#[test]
fn a_syn_of_the_same_number_after_a_close_begins_no_flow() {
    let mut talk = Talk::tcp();
    talk.up(0, SYN, 100, 0, 0);
    talk.down(MS, RST | ACK, 0, 101, 0);
    talk.up(S, SYN, 100, 0, 0);
    talk.down(S + MS, RST | ACK, 0, 101, 0);
    let span = talk
        .span("closed")
        .ends_by("end_of_flow_detected")
        .error("connection_refused")
        .set("flow.tcp.retransmissions", 1)
        .events(&[(0, "tcp.syn"), (MS, "tcp.rst"), (S, "tcp.syn"), (S, "tcp.retransmission")])
        .events(&[(S + MS, "tcp.rst")]);
    gives(&talk, span);
}
