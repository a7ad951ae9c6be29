//! Which way a conversation is oriented when its halves may differ: evidence over first come.

use flowtable::{Direction, FlowRecord, Initiator, Nanos, tcp_flag};

/// What one half says about source, destination and initiator, and how well it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// The canonical direction that is source to destination.
    pub(super) forward: Direction,
    pub(super) initiator: Initiator,
    /// Whether a packet of the half proved it: SYN, SYN/ACK, an ICMP reply.
    proven: bool,
    /// When the half began.
    since: Nanos,
}

impl Claim {
    /// The claim of a half by its record.
    ///
    /// A table orients a flow by its first packet and turns it on proof. So a half all of whose packets travel against its
    /// own orientation has had proof that its sender was called. A SYN, with ACK or without, is proof as well, in the first
    /// record alone, because later ones do not turn any more.
    pub(super) fn of(record: &FlowRecord) -> Claim {
        let flags = record.tcp.map_or(0, |tcp| tcp.flags);
        let handshake = record.number == 0 && flags & tcp_flag::SYN != 0;
        let called = record.to_destination.packets_total == 0;
        Claim {
            forward: record.forward,
            initiator: record.initiator,
            proven: handshake || called,
            since: record.flow_start,
        }
    }

    /// The better founded of two claims; the one of the earlier half where both are as good, else `self`.
    pub(super) fn or_better(self, other: Claim) -> Claim {
        let better = (other.proven, self.since) > (self.proven, other.since);
        if better { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(forward: Direction, proven: bool, since: u64) -> Claim {
        Claim { forward, initiator: Initiator::Source, proven, since: Nanos(since) }
    }

    #[test]
    fn proof_wins_over_an_earlier_start() {
        let guess = claim(Direction::LoToHi, false, 1);
        let proof = claim(Direction::HiToLo, true, 2);
        assert_eq!(guess.or_better(proof), proof);
        assert_eq!(proof.or_better(guess), proof);
    }

    #[test]
    fn the_earlier_half_wins_where_both_know_as_much() {
        for proven in [false, true] {
            let early = claim(Direction::LoToHi, proven, 1);
            let late = claim(Direction::HiToLo, proven, 2);
            assert_eq!(early.or_better(late), early);
            assert_eq!(late.or_better(early), early);
        }
    }

    #[test]
    fn of_two_claims_of_the_same_age_the_first_known_stays() {
        let one = claim(Direction::LoToHi, false, 1);
        let other = claim(Direction::HiToLo, false, 1);
        assert_eq!(one.or_better(other), one);
    }
}
