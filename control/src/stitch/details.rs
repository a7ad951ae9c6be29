//! What halves tell beside packets and octets: events, failures, tunnels, and what TCP went through. By canonical direction
//! where it has one, as halves may differ on the source.

use flowtable::{
    Direction, Event, Events, Nanos, NetworkError, TcpCounts, TcpRecord, Timing, Tunnel, tcp_flag,
};

/// Adds a half's events to those of the window: in time order, the first [`Events::MAX`] of them, the others counted.
pub(super) fn add_events(window: &mut Events, more: Events) {
    window.dropped = window.dropped.saturating_add(more.dropped);
    if more.kept.is_empty() {
        return;
    }
    window.kept.extend(more.kept);
    window.kept.sort_by_key(|Event { at, .. }| *at);
    let over = window.kept.len().saturating_sub(Events::MAX);
    window.kept.truncate(Events::MAX);
    window.dropped = window.dropped.saturating_add(u32::try_from(over).unwrap_or(u32::MAX));
}

/// Counts of TCP segments by canonical direction. Takes memory where there is something to count, which is seldom.
#[derive(Default)]
pub(super) struct Counts(Option<Box<[TcpCounts; 2]>>);

impl Counts {
    /// Adds a half's counts of what went `way`.
    pub(super) fn add(&mut self, way: Direction, more: &TcpCounts) {
        if *more == TcpCounts::default() {
            return;
        }
        let sum = &mut self.0.get_or_insert_default()[way as usize];
        sum.retransmissions += more.retransmissions;
        sum.out_of_order += more.out_of_order;
        sum.duplicate_acks += more.duplicate_acks;
        sum.zero_windows += more.zero_windows;
    }

    pub(super) fn of(&self, way: Direction) -> TcpCounts {
        self.0.as_ref().map_or_else(TcpCounts::default, |counts| counts[way as usize])
    }
}

/// What a conversation failed at, as far as halves tell.
#[derive(Clone, Copy, Default)]
pub(super) struct Failure {
    error: Option<NetworkError>,
    /// TCP flags since the beginning, by the canonical direction of the segments; of both where a half saw both.
    flags: [u8; 2],
}

impl Failure {
    /// The first error known stays, unless a weightier one comes.
    pub(super) fn learn(&mut self, error: Option<NetworkError>) {
        if error.map(weight) > self.error.map(weight) {
            self.error = error;
        }
    }

    /// Segments with `flags` went `way`.
    pub(super) fn note_flags(&mut self, way: Direction, flags: u8) {
        self.flags[way as usize] |= flags;
    }

    /// The error of the whole conversation, whose initiator sends `initiator`; `answered` where the responder was heard.
    ///
    /// A table that saw the SYN alone takes it for unanswered, and one that saw the RST alone cannot tell that it refuses
    /// a SYN.
    pub(super) fn error(&self, initiator: Direction, answered: bool) -> Option<NetworkError> {
        let asked = self.flags[initiator as usize] & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        let refused =
            self.flags[initiator.flipped() as usize] & (tcp_flag::SYN | tcp_flag::RST) == tcp_flag::RST;
        match self.error {
            None | Some(NetworkError::TimedOut | NetworkError::ConnectionReset) if asked && refused => {
                Some(NetworkError::ConnectionRefused)
            }
            Some(NetworkError::TimedOut) if answered => None,
            error => error,
        }
    }
}

/// Of two errors the one that weighs more is told. A conversation goes on after a packet that was too big, and a silence is
/// no more than what a half did not see.
fn weight(error: NetworkError) -> u8 {
    match error {
        NetworkError::TimedOut => 0,
        NetworkError::FragmentationNeeded => 1,
        NetworkError::ConnectionRefused
        | NetworkError::ConnectionReset
        | NetworkError::HostUnreachable
        | NetworkError::NetworkUnreachable
        | NetworkError::PortUnreachable
        | NetworkError::TtlExceeded => 2,
    }
}

/// The latencies of a connection, each from the half that knows it best. Takes memory where there are any: a half that sees
/// one direction measures none.
#[derive(Default)]
pub(super) struct Timings(Option<Box<KnownTimings>>);

#[derive(Default)]
struct KnownTimings {
    handshake_snd: Option<Known>,
    handshake_cnd: Option<Known>,
    svc: Option<Known>,
    rndtrip: Option<Known>,
}

#[derive(Clone, Copy)]
struct Known {
    worker: u16,
    timing: Timing,
}

impl Timings {
    /// Takes what `worker`'s half measured since its start.
    pub(super) fn learn(&mut self, worker: u16, tcp: &TcpRecord) {
        if [tcp.handshake_snd, tcp.handshake_cnd, tcp.svc, tcp.rndtrip].iter().all(Option::is_none) {
            return;
        }
        let known = self.0.get_or_insert_default();
        for (known, timing) in [
            (&mut known.handshake_snd, tcp.handshake_snd),
            (&mut known.handshake_cnd, tcp.handshake_cnd),
            (&mut known.svc, tcp.svc),
            (&mut known.rndtrip, tcp.rndtrip),
        ] {
            if let Some(timing) = timing
                && known.is_none_or(|known| known.yields_to(worker, &timing))
            {
                *known = Some(Known { worker, timing });
            }
        }
    }

    /// Writes them into the record of the whole conversation.
    pub(super) fn tell(&self, tcp: &mut TcpRecord) {
        let Some(known) = &self.0 else { return };
        let timing = |known: Option<Known>| known.map(|known| known.timing);
        tcp.handshake_snd = timing(known.handshake_snd);
        tcp.handshake_cnd = timing(known.handshake_cnd);
        tcp.svc = timing(known.svc);
        tcp.rndtrip = timing(known.rndtrip);
    }
}

impl Known {
    /// A later record of the same half says more, and so does one of several samples over one of a single sample.
    fn yields_to(&self, worker: u16, timing: &Timing) -> bool {
        self.worker == worker || (self.timing.jitter_ns.is_none() && timing.jitter_ns.is_some())
    }
}

/// The tunnel of a conversation: that of the earliest half in one.
#[derive(Default)]
pub(super) struct KnownTunnel {
    /// When that half began, and the tunnel as it is where the lower endpoint is the flow's source.
    earliest: Option<(Nanos, Box<Tunnel>)>,
}

impl KnownTunnel {
    /// Takes the tunnel of a half that began at `since` and is oriented `forward`. `may_change` until the first record.
    pub(super) fn learn(
        &mut self,
        tunnel: Option<Box<Tunnel>>,
        since: Nanos,
        forward: Direction,
        may_change: bool,
    ) {
        let Some(tunnel) = tunnel else { return };
        let better = match &self.earliest {
            None => true,
            Some((known, _)) => may_change && since < *known,
        };
        if better {
            self.earliest = Some((since, turned(tunnel, forward)));
        }
    }

    /// The tunnel of a record oriented `forward`.
    pub(super) fn tell(&self, forward: Direction) -> Option<Box<Tunnel>> {
        self.earliest.as_ref().map(|(_, tunnel)| turned(tunnel.clone(), forward))
    }
}

/// Between the orientation of the flow and that of its lower endpoint as source, either way.
fn turned(tunnel: Box<Tunnel>, forward: Direction) -> Box<Tunnel> {
    match forward {
        Direction::LoToHi => tunnel,
        Direction::HiToLo => Box::new(tunnel.reversed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowtable::EventKind;

    fn events(at: impl IntoIterator<Item = u64>, dropped: u32) -> Events {
        let event = |at| Event { at: Nanos(at), kind: EventKind::TcpZeroWindow };
        Events { kept: at.into_iter().map(event).collect(), dropped }
    }

    #[test]
    fn events_of_halves_stand_in_time_order_and_those_past_the_limit_are_counted() {
        let mut window = events([1, 5, 9], 0);
        add_events(&mut window, events([2, 5, 8], 4));
        assert_eq!(window, events([1, 2, 5, 5, 8, 9], 4));
        add_events(&mut window, events(10..40, 1));
        assert_eq!((window.kept.len(), window.dropped), (Events::MAX, 5 + 36 - 32));
        assert_eq!(window.kept.last().map(|event| event.at), Some(Nanos(35)));
    }

    #[test]
    fn the_first_error_stays_unless_a_weightier_one_comes() {
        use NetworkError::{FragmentationNeeded, HostUnreachable, PortUnreachable, TimedOut};
        let told = |errors: &[NetworkError]| {
            let mut failure = Failure::default();
            errors.iter().for_each(|error| failure.learn(Some(*error)));
            failure.learn(None);
            failure.error(Direction::LoToHi, false)
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[TimedOut]), Some(TimedOut));
        assert_eq!(told(&[FragmentationNeeded, HostUnreachable]), Some(HostUnreachable));
        assert_eq!(told(&[HostUnreachable, FragmentationNeeded, PortUnreachable]), Some(HostUnreachable));
        assert_eq!(told(&[TimedOut, FragmentationNeeded]), Some(FragmentationNeeded));
    }

    #[test]
    fn a_later_record_and_more_samples_replace_a_timing() {
        let tcp = |latency_ns, jitter_ns| TcpRecord {
            svc: Some(Timing { latency_ns, jitter_ns }),
            ..TcpRecord::default()
        };
        let told = |records: &[(u16, TcpRecord)]| {
            let mut timings = Timings::default();
            records.iter().for_each(|(worker, record)| timings.learn(*worker, record));
            let mut told = TcpRecord::default();
            timings.tell(&mut told);
            told.svc.map(|timing| timing.latency_ns)
        };
        assert_eq!(told(&[(0, TcpRecord::default())]), None);
        assert_eq!(told(&[(0, tcp(5, None)), (1, TcpRecord::default())]), Some(5));
        assert_eq!(told(&[(0, tcp(5, None)), (1, tcp(6, None))]), Some(5), "as good: the first");
        assert_eq!(told(&[(0, tcp(5, None)), (1, tcp(6, Some(0)))]), Some(6));
        assert_eq!(told(&[(0, tcp(5, Some(1))), (1, tcp(6, Some(0)))]), Some(5));
        assert_eq!(told(&[(0, tcp(5, Some(1))), (0, tcp(7, Some(2)))]), Some(7));
    }
}
