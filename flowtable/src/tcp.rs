//! The TCP connection as a bystander can follow it, RFC 9293 §3.3.2, seen from the initiator's endpoint.

use crate::connection::{Marks, note_flags};
use crate::event::{EventKind, NetworkError};
use crate::flow::Flow;
use crate::key::{Direction, protocol};
use crate::packet::{Packet, tcp_flag};
use crate::slot::Meta;
use crate::sync::Ordering;
use crate::time::Nanos;
use crate::{handshake, orientation, plain, sequence};

/// State of the initiator's endpoint as inferred at the probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Waiting for a connection request; an initiator is never seen here.
    Listen = 0,
    /// The initiator's SYN was seen.
    SynSent = 1,
    /// Both sides sent a SYN and neither was answered yet (simultaneous open).
    SynReceived = 2,
    /// The handshake is complete, or the flow was first seen in the middle.
    #[default]
    Established = 3,
    /// The initiator sent its FIN.
    FinWait1 = 4,
    /// The initiator's FIN was acknowledged.
    FinWait2 = 5,
    /// The responder sent its FIN first.
    CloseWait = 6,
    /// Both FINs crossed, neither acknowledged.
    Closing = 7,
    /// The initiator answered the responder's FIN with its own.
    LastAck = 8,
    /// Both FINs seen, the initiator closed first.
    TimeWait = 9,
    /// Closed after the responder's FIN, or reset.
    Closed = 10,
}

impl TcpState {
    /// Every state, in the order of the discriminants.
    pub const ALL: [TcpState; 11] = [
        TcpState::Listen,
        TcpState::SynSent,
        TcpState::SynReceived,
        TcpState::Established,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::CloseWait,
        TcpState::Closing,
        TcpState::LastAck,
        TcpState::TimeWait,
        TcpState::Closed,
    ];

    /// The value of `flow.connection.state`.
    pub fn as_str(self) -> &'static str {
        match self {
            TcpState::Listen => "listen",
            TcpState::SynSent => "syn_sent",
            TcpState::SynReceived => "syn_received",
            TcpState::Established => "established",
            TcpState::FinWait1 => "fin_wait_1",
            TcpState::FinWait2 => "fin_wait_2",
            TcpState::CloseWait => "close_wait",
            TcpState::Closing => "closing",
            TcpState::LastAck => "last_ack",
            TcpState::TimeWait => "time_wait",
            TcpState::Closed => "closed",
        }
    }

    /// Whether the handshake is still under way.
    #[inline]
    pub fn is_opening(self) -> bool {
        matches!(self, TcpState::Listen | TcpState::SynSent | TcpState::SynReceived)
    }
}

/// Flags that change the state of a connection.
pub(crate) const STATE_FLAGS: u8 = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;

/// State of a flow before its first packet is followed: a handshake begins, or the flow was under way already.
pub(crate) fn opening_state(packet: &Packet) -> TcpState {
    let handshake = packet.key.protocol == protocol::TCP && packet.tcp.flags & STATE_FLAGS == tcp_flag::SYN;
    if handshake { TcpState::SynSent } else { TcpState::Established }
}

/// Follows `packet`, the flow's `ordinal`-th: flags, handshake, state, sequence. Called inside an update.
#[inline]
pub(crate) fn follow(flow: &mut Flow<'_>, packet: &Packet, ordinal: u64) {
    if packet.tcp.flags == 0 {
        // No header: a later fragment, or one cut short. A segment without any flag says nothing either.
        return;
    }
    note_flags(flow.track, flow.conn, packet.tcp.flags, plain::stamp(ordinal));
    let state_flags = packet.tcp.flags & STATE_FLAGS;
    if flow.track.marks().has(Marks::ANSWERED) && state_flags & (tcp_flag::SYN | tcp_flag::RST) == 0 {
        handshake::on_ack(flow, packet);
    }
    if state_flags != 0 || flow.meta().state() != TcpState::Established {
        orient(flow, packet);
        if state_flags & (tcp_flag::SYN | tcp_flag::RST) == tcp_flag::SYN {
            handshake::on_syn(flow, packet);
        }
        transition(flow, packet);
    }
    flow.track.set_asker(flow.meta().initiator_direction());
    sequence::follow(flow, packet);
}

/// Notes which side's next segment can be counted in one step, see [`Meta::STEADY`]. After every change.
pub(crate) fn settle(flow: &Flow<'_>) {
    let (mut meta, marks) = (flow.meta(), flow.track.marks());
    let steady = meta.state() == TcpState::Established && !marks.has(Marks::ANSWERED);
    for way in [Direction::LoToHi, Direction::HiToLo] {
        let known = marks.has_by(Marks::SEQUENCE, way) && marks.has_by(Marks::ACKED, way);
        meta.put(Meta::STEADY << way as u32, steady && known);
    }
    flow.set_meta(meta);
}

/// Orients the flow by `packet`. A state is the initiator's: when another side turns out to be that, it is told anew.
fn orient(flow: &mut Flow<'_>, packet: &Packet) {
    let before = flow.meta();
    orientation::on_evidence(flow.hot, packet);
    let mut meta = flow.meta();
    if meta.initiator_direction() != before.initiator_direction() {
        meta.set_state(mirrored(before.state()));
        flow.set_meta(meta);
    }
}

/// The state of the other endpoint, as far as the order of the FINs tells it; which of them are acknowledged is seen to
/// after.
fn mirrored(state: TcpState) -> TcpState {
    match state {
        TcpState::FinWait1 | TcpState::FinWait2 => TcpState::CloseWait,
        TcpState::CloseWait | TcpState::LastAck => TcpState::FinWait1,
        TcpState::TimeWait => TcpState::LastAck,
        other => other,
    }
}

#[cold]
fn transition(flow: &mut Flow<'_>, packet: &Packet) {
    let before = flow.meta();
    let mut meta = before;
    let (segment, direction) = (&packet.tcp, packet.direction);
    if segment.flags & tcp_flag::SYN != 0 {
        synchronize(flow, &mut meta, packet);
    } else if meta.state().is_opening() && segment.flags & tcp_flag::ACK != 0 {
        // The initiator's ACK completes the handshake, also where its SYN/ACK passed elsewhere; where the initiator's side
        // passes elsewhere, the responder's data tells that it did. A responder's bare ACK may be a challenge (RFC 5961).
        let by_initiator = direction == meta.initiator_direction();
        let reset = segment.flags & tcp_flag::RST != 0;
        if !reset && (by_initiator || segment.payload > 0 || meta.state() == TcpState::SynReceived) {
            meta.set_state(TcpState::Established);
        }
    }
    if before.state().is_opening() && meta.state() == TcpState::Established {
        flow.event(EventKind::TcpEstablished, packet.at);
    }
    finish(flow, &mut meta, packet);
    let initiator = meta.initiator_direction();
    let (marks, sides) = (flow.track.marks(), [initiator, initiator.flipped()]);
    let finished = sides.map(|way| meta.has_by(Meta::FIN, way));
    let acked = sides.map(|way| marks.has_by(Marks::FIN_ACKED, way));
    let state = closing_state(meta.state(), finished, acked);
    meta.set_state(state);
    if segment.flags & tcp_flag::RST != 0 {
        reset(flow, &mut meta, packet);
    }
    if !before.has(Meta::CLOSED) && (segment.flags & tcp_flag::RST != 0 || acked == [true, true]) {
        meta.set(Meta::CLOSED);
        let last_seen = Nanos(flow.hot.last_seen.load(Ordering::Relaxed));
        flow.conn.set_closed_at(packet.at.max(last_seen));
    }
    flow.set_meta(meta);
}

/// A SYN of either side.
fn synchronize(flow: &mut Flow<'_>, meta: &mut Meta, packet: &Packet) {
    let (segment, direction) = (&packet.tcp, packet.direction);
    let answer = segment.flags & tcp_flag::ACK != 0;
    meta.set_by(Meta::SYN, direction);
    flow.cold.initial_sequence[direction as usize].store(segment.sequence, Ordering::Relaxed);
    flow.event(if answer { EventKind::TcpSynAck } else { EventKind::TcpSyn }, packet.at);
    if direction == meta.initiator_direction() {
        return;
    }
    match (meta.state(), answer) {
        (TcpState::SynSent, false) => meta.set_state(TcpState::SynReceived),
        // Simultaneous open: the initiator, which answered the responder's SYN, is answered itself (RFC 9293 §3.5).
        (TcpState::SynReceived, true) => meta.set_state(TcpState::Established),
        _ => {}
    }
}

/// FINs, and the ACKs of FINs. Of a closed connection both FINs are acknowledged, or it was reset, and stays [`TcpState::Closed`]:
/// where its FINs end is not remembered.
fn finish(flow: &mut Flow<'_>, meta: &mut Meta, packet: &Packet) {
    let (segment, direction) = (&packet.tcp, packet.direction);
    if segment.flags & tcp_flag::FIN != 0 {
        let end = segment.sequence.wrapping_add(sequence::sequence_length(segment));
        if !meta.has(Meta::CLOSED) {
            flow.conn.set_fin_end(direction, end);
        }
        meta.set_by(Meta::FIN, direction);
        flow.event(EventKind::TcpFin, packet.at);
    }
    let peer = direction.flipped();
    let awaited = meta.has_by(Meta::FIN, peer) && !meta.has(Meta::CLOSED);
    if segment.flags & tcp_flag::ACK != 0
        && awaited
        && reaches(segment.acknowledgment, flow.conn.fin_end(peer))
    {
        let track = flow.track;
        track.set_marks(track.marks().with(Marks::FIN_ACKED << peer as u16));
    }
}

/// A RST of either side. It refuses a connection that the responder never agreed to, and resets one that was established; one
/// that comes when all is over, or calls off a handshake, is no failure.
fn reset(flow: &mut Flow<'_>, meta: &mut Meta, packet: &Packet) {
    let responder = meta.initiator_direction().flipped();
    let answered = meta.has_by(Meta::SYN, responder);
    if !meta.has(Meta::CLOSED) {
        if meta.state().is_opening() {
            if packet.direction == responder && !answered {
                flow.fail(NetworkError::ConnectionRefused);
            }
        } else if !matches!(meta.state(), TcpState::TimeWait | TcpState::Closed) {
            flow.fail(NetworkError::ConnectionReset);
        }
    }
    flow.event(EventKind::TcpRst, packet.at);
    meta.set_state(TcpState::Closed);
}

/// Whether acknowledgment `ack` covers everything before `end`, in sequence space (RFC 9293 §3.4).
#[inline]
pub(crate) fn reaches(ack: u32, end: u32) -> bool {
    ack.wrapping_sub(end) < 1 << 31
}

/// The initiator's state after the FINs `[initiator's, responder's]` seen and acknowledged so far.
fn closing_state(from: TcpState, fin: [bool; 2], acked: [bool; 2]) -> TcpState {
    let [mine, theirs] = fin;
    let [mine_acked, _] = acked;
    match from {
        TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing => match (theirs, mine_acked) {
            (false, false) => TcpState::FinWait1,
            (false, true) => TcpState::FinWait2,
            (true, false) => TcpState::Closing,
            (true, true) => TcpState::TimeWait,
        },
        TcpState::CloseWait | TcpState::LastAck if mine => {
            if mine_acked {
                TcpState::Closed
            } else {
                TcpState::LastAck
            }
        }
        TcpState::TimeWait | TcpState::Closed | TcpState::CloseWait | TcpState::LastAck => from,
        _ if mine => closing_state(TcpState::FinWait1, fin, acked),
        _ if theirs => TcpState::CloseWait,
        _ => from,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn acknowledgments_wrap() {
        assert!(reaches(5, 5));
        assert!(reaches(3, 0xffff_fff0));
        assert!(!reaches(0xffff_fff0, 3));
    }

    #[test]
    fn closing_follows_rfc_9293_figure_5() {
        use TcpState::*;
        let state = closing_state;
        assert_eq!(state(Established, [true, false], [false, false]), FinWait1);
        assert_eq!(state(FinWait1, [true, false], [true, false]), FinWait2);
        assert_eq!(state(FinWait1, [true, true], [false, false]), Closing);
        assert_eq!(state(FinWait1, [true, true], [true, false]), TimeWait);
        assert_eq!(state(FinWait2, [true, true], [true, false]), TimeWait);
        assert_eq!(state(Closing, [true, true], [true, false]), TimeWait);
        assert_eq!(state(Established, [false, true], [false, false]), CloseWait);
        assert_eq!(state(CloseWait, [true, true], [false, true]), LastAck);
        assert_eq!(state(LastAck, [true, true], [true, true]), Closed);
    }
}
