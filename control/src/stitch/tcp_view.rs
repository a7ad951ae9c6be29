//! The state of a TCP connection from what tables say that saw one direction each.
//!
//! A table names the state of the initiator's endpoint as far as its packets show. Each name is taken apart into facts;
//! facts of all halves add up, by canonical direction so that halves that disagree on the initiator agree on them; and the
//! state is read off the sum. i is the initiator's direction, r the responder's:
//!
//! | facts | state |
//! |---|---|
//! | reset, or closed after the last ACK | `closed` |
//! | FIN of i and r, r's first | `last_ack`; `closed` when every half has fallen silent |
//! | FIN of i and r, i's acknowledged, or every half has fallen silent | `time_wait` |
//! | FIN of i and r | `closing` |
//! | FIN of i, acknowledged | `fin_wait_2` |
//! | FIN of i | `fin_wait_1` |
//! | FIN of r | `close_wait` |
//! | handshake complete in some half | `established` |
//! | SYN both ways in one half | `syn_received` |
//! | none of these | `syn_sent` |
//!
//! An ACK of the other direction's FIN is seen by neither table, hence the inference from silence.

use flowtable::{Direction, TcpState};

/// What is known of a connection, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TcpView(u8);

impl TcpView {
    const ESTABLISHED: u8 = 1;
    const CROSSED_SYN: u8 = 1 << 1;
    const RESPONDER_FIRST: u8 = 1 << 2;
    const CLOSED: u8 = 1 << 3;
    /// FIN sent from the lower endpoint; the next bit is the higher one's.
    const FIN: u8 = 1 << 4;
    /// That FIN acknowledged; the next bit likewise.
    const ACKED: u8 = 1 << 6;

    /// The facts in `state`, the initiator's packets travelling `initiator`.
    pub(super) fn of(state: TcpState, initiator: Direction) -> TcpView {
        let mine = |fact| fact << initiator as u8;
        let theirs = |fact| fact << initiator.flipped() as u8;
        TcpView(match state {
            TcpState::Listen | TcpState::SynSent => 0,
            TcpState::SynReceived => Self::CROSSED_SYN,
            TcpState::Established => Self::ESTABLISHED,
            TcpState::FinWait1 => mine(Self::FIN),
            TcpState::FinWait2 => mine(Self::FIN | Self::ACKED),
            TcpState::CloseWait => theirs(Self::FIN),
            TcpState::Closing => mine(Self::FIN) | theirs(Self::FIN),
            TcpState::LastAck => mine(Self::FIN) | theirs(Self::FIN) | Self::RESPONDER_FIRST,
            TcpState::TimeWait => mine(Self::FIN | Self::ACKED) | theirs(Self::FIN),
            TcpState::Closed => Self::CLOSED,
        })
    }

    /// Adds the facts of another half, or later ones of the same.
    pub(super) fn add(&mut self, other: TcpView) {
        self.0 |= other.0;
    }

    /// The state of the initiator's endpoint. `silent` when every known half has ended.
    pub(super) fn state(self, initiator: Direction, silent: bool) -> TcpState {
        let has = |fact| self.0 & fact != 0;
        let (mine, theirs) = (initiator as u8, initiator.flipped() as u8);
        match (has(Self::FIN << mine), has(Self::FIN << theirs)) {
            _ if has(Self::CLOSED) => TcpState::Closed,
            (true, true) if has(Self::RESPONDER_FIRST) && silent => TcpState::Closed,
            (true, true) if has(Self::RESPONDER_FIRST) => TcpState::LastAck,
            (true, true) if silent || has(Self::ACKED << mine) => TcpState::TimeWait,
            (true, true) => TcpState::Closing,
            (true, false) if has(Self::ACKED << mine) => TcpState::FinWait2,
            (true, false) => TcpState::FinWait1,
            (false, true) => TcpState::CloseWait,
            (false, false) if has(Self::ESTABLISHED) => TcpState::Established,
            (false, false) if has(Self::CROSSED_SYN) => TcpState::SynReceived,
            (false, false) => TcpState::SynSent,
        }
    }

    /// Whether the connection ended by itself: reset, or a FIN of either side.
    pub(super) fn is_over(self) -> bool {
        let fins = Self::FIN | Self::FIN << 1;
        self.0 & Self::CLOSED != 0 || self.0 & fins == fins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{HiToLo, LoToHi};

    /// State of two halves: the one the initiator's packets (low to high) are in, and the responder's.
    fn joined(one: TcpState, other: (TcpState, Direction), silent: bool) -> TcpState {
        let mut view = TcpView::of(one, LoToHi);
        view.add(TcpView::of(other.0, other.1));
        view.state(LoToHi, silent)
    }

    #[test]
    fn a_view_alone_keeps_its_state() {
        for state in TcpState::ALL.into_iter().filter(|state| *state != TcpState::Listen) {
            assert_eq!(TcpView::of(state, HiToLo).state(HiToLo, false), state);
        }
    }

    #[test]
    fn established_in_one_half_is_established() {
        assert_eq!(joined(TcpState::Established, (TcpState::SynSent, LoToHi), false), TcpState::Established);
        assert_eq!(joined(TcpState::SynSent, (TcpState::SynSent, LoToHi), false), TcpState::SynSent);
    }

    #[test]
    fn a_fin_in_either_half_counts_for_its_sender() {
        assert_eq!(joined(TcpState::FinWait1, (TcpState::SynSent, LoToHi), false), TcpState::FinWait1);
        assert_eq!(joined(TcpState::Established, (TcpState::CloseWait, LoToHi), false), TcpState::CloseWait);
        // The responder's half began in the middle and takes its sender for the initiator.
        assert_eq!(joined(TcpState::Established, (TcpState::FinWait1, HiToLo), false), TcpState::CloseWait);
    }

    #[test]
    fn both_fins_are_closing_until_silence_tells_they_were_acknowledged() {
        assert_eq!(joined(TcpState::FinWait1, (TcpState::CloseWait, LoToHi), false), TcpState::Closing);
        assert_eq!(joined(TcpState::FinWait1, (TcpState::CloseWait, LoToHi), true), TcpState::TimeWait);
        assert_eq!(joined(TcpState::FinWait2, (TcpState::CloseWait, LoToHi), false), TcpState::TimeWait);
    }

    #[test]
    fn a_reset_closes_whatever_the_other_half_thinks() {
        assert_eq!(joined(TcpState::Established, (TcpState::Closed, LoToHi), false), TcpState::Closed);
        assert_eq!(joined(TcpState::Closed, (TcpState::CloseWait, LoToHi), true), TcpState::Closed);
    }
}
