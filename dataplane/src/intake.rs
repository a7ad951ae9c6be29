//! Frames to flow updates: the way of a packet through a worker, the same for a live port and a capture file.

use flowtable::{Burst, MAX_BURST, Nanos, PortId, Writer};

use crate::dedup::{Dedup, DedupOptions};
use crate::filter::CaptureFilter;
use crate::fragments::{Emit, FragmentOptions, Fragments};
use crate::ledger::{CountersWriter, Tally};
use crate::reason::Reason;
use crate::wire::{self, Beside, LinkType, ParseOptions, Parsed};

/// What the operator decides about the way from a frame to the table.
#[derive(Clone, Debug, Default)]
pub struct IntakeOptions {
    /// How frames are parsed.
    pub parse: ParseOptions,
    /// Which frames are taken in; all where there is none.
    pub filter: Option<CaptureFilter>,
    /// The window for duplicates, which are looked for among the frames taken in; nothing is one where there is none.
    pub dedup: Option<DedupOptions>,
    /// How much is remembered of fragments.
    pub fragments: FragmentOptions,
}

/// Gathers the parsed packets of a burst and hands them to the table together. Never allocates after it is made.
#[derive(Debug)]
pub struct Intake {
    burst: Burst,
    /// Packets the burst has room for: those of [`MAX_BURST`] frames, and all that were held before.
    room: usize,
    tally: Tally,
    /// Whether there is anything that keeps packets out before they are parsed.
    screens: bool,
    filter: Option<CaptureFilter>,
    dedup: Option<Dedup>,
    parse: ParseOptions,
    beside: Beside,
    fragments: Fragments,
}

impl Intake {
    /// An intake by `options`. `seed` keys the hashes of what it remembers.
    pub fn new(options: &IntakeOptions, seed: u64) -> Intake {
        let IntakeOptions { parse, ref filter, dedup, fragments } = *options;
        let room = MAX_BURST + fragments.held.max(1) as usize;
        Intake {
            burst: Burst::with_capacity(room),
            room,
            tally: Tally::default(),
            screens: filter.is_some() || dedup.is_some(),
            filter: filter.clone(),
            dedup: dedup.map(|options| Dedup::new(options, seed)),
            parse,
            beside: Beside::default(),
            fragments: Fragments::new(fragments, seed),
        }
    }

    /// Whether [`Intake::commit`] must come before the next frame.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.burst.len() >= MAX_BURST
    }

    /// Takes a frame received on `port` at `at`; it had `wire_len` octets on the wire, never fewer than are there. Callers commit after
    /// [`MAX_BURST`] of them or when [`Intake::is_full`]; what there is no room for is counted as dropped for a full table.
    #[inline(always)]
    pub fn take(&mut self, link: LinkType, data: &[u8], wire_len: u32, at: Nanos, port: PortId) {
        self.tally.packets += 1;
        self.tally.bytes += u64::from(wire_len);
        if self.screens && !self.passes(link, data, wire_len, at) {
            return;
        }
        let Intake { burst, parse, .. } = self;
        if !wire::push_plain(link, data, wire_len, at, port, parse, burst) {
            self.take_any(link, data, wire_len, at, port);
        }
    }

    /// Takes a frame of any kind, or one that there is no room for.
    #[inline(never)]
    fn take_any(&mut self, link: LinkType, data: &[u8], wire_len: u32, at: Nanos, port: PortId) {
        match wire::parse(link, data, wire_len, at, port, &self.parse, &mut self.beside) {
            Ok(_) if self.burst.len() >= self.room => self.tally.drop_for(Reason::TableFull),
            Ok(ref parsed) => {
                if parsed.beside {
                    self.take_beside(parsed);
                } else {
                    self.burst.push(parsed.packet);
                }
                if let Some(anomaly) = parsed.anomaly {
                    self.tally.note(anomaly);
                }
            }
            Err(reason) => self.tally.drop_for(reason),
        }
    }

    /// Whether the frame is to be taken in; counts it where it is not.
    #[inline(never)]
    fn passes(&mut self, link: LinkType, data: &[u8], wire_len: u32, at: Nanos) -> bool {
        if self.filter.as_ref().is_some_and(|filter| !filter.passes(link, data, wire_len)) {
            self.tally.drop_for(Reason::Filtered);
            return false;
        }
        if let Some(dedup) = &mut self.dedup
            && let Some(packet) = wire::ip_of(link, data, &self.parse.tunnels)
            && dedup.is_repeat(packet, at)
        {
            self.tally.drop_for(Reason::Duplicate);
            return false;
        }
        true
    }

    /// Takes a packet with more to it: what the parser put beside it.
    #[cold]
    #[inline(never)]
    fn take_beside(&mut self, parsed: &Parsed) {
        let Intake { burst, tally, beside, fragments, .. } = self;
        if let Some(quote) = beside.quote {
            burst.push_quote(quote);
        }
        let mut emit = Emit { burst, tally };
        match &beside.fragment {
            Some(fragment) => fragments.take(fragment, parsed.packet, beside.tunnel, &mut emit),
            None => emit.packet(parsed.packet, beside.tunnel),
        }
    }

    /// Counts what was gathered in the table and in the ledger.
    #[inline]
    pub fn commit(&mut self, writer: &mut Writer, counters: &mut CountersWriter) {
        let outcome = writer.update(&self.burst);
        self.tally.in_flows += u64::from(outcome.in_flows);
        self.tally.drop_many(Reason::TableFull, outcome.table_full);
        self.tally.drop_many(Reason::OwnTraffic, outcome.excluded);
        self.tally.held = u64::from(self.fragments.held());
        counters.add(&self.tally);
        self.burst.clear();
        self.tally.clear();
    }

    /// Whether there is anything for [`Intake::expire`].
    #[inline]
    pub fn remembers(&self) -> bool {
        self.fragments.datagrams() > 0
    }

    /// Counts the fragments that waited too long at `now` for their first part, some at a time: after a commit, now and then,
    /// as fragments that still come do the same. `true` while there may be more of them.
    pub fn expire(&mut self, now: Nanos, writer: &mut Writer, counters: &mut CountersWriter) -> bool {
        let Intake { burst, tally, fragments, .. } = self;
        let more = fragments.expire(now, &mut Emit { burst, tally });
        if !self.burst.is_empty() {
            self.commit(writer, counters);
        }
        more
    }

    /// Counts everything that is still held, at the end of the packets.
    pub fn finish(&mut self, writer: &mut Writer, counters: &mut CountersWriter) {
        let Intake { burst, tally, fragments, .. } = self;
        fragments.give_up_all(&mut Emit { burst, tally });
        self.commit(writer, counters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Fragment;
    use flowtable::{Endpoint, Family, FlowKey, Packet, Role, TableConfig, TcpSegment, table};

    fn part(at: u64, ports: u16, offset: u32, more: bool) -> (Parsed, Fragment) {
        let end = |address| Endpoint { address, port: ports };
        let flow = FlowKey::canonical(Family::V4, 17, end(1), end(2));
        let packet = Packet {
            key: flow.0,
            direction: flow.1,
            at: Nanos(at),
            bytes: 100,
            role: Role::Unknown,
            tcp: TcpSegment::default(),
            first: flowtable::FirstPacket::default(),
            tunnel: 0,
        };
        let fragment = Fragment {
            source: 1,
            destination: 2,
            family: Family::V4,
            protocol: 17,
            id: 9,
            offset,
            length: 80,
            more,
            flow,
        };
        (Parsed { packet, anomaly: None, beside: true }, fragment)
    }

    #[test]
    fn held_fragments_are_balanced_and_counted_when_their_time_has_come() {
        let (mut writer, mut sweeper) =
            table(&TableConfig { capacity: 16, ..TableConfig::default() }).unwrap();
        let (mut counters, figures) = CountersWriter::new();
        let mut intake = Intake::new(&IntakeOptions::default(), 1);
        let take = |intake: &mut Intake, (parsed, fragment): (Parsed, Fragment)| {
            intake.tally.packets += 1;
            intake.beside.fragment = Some(fragment);
            intake.take_beside(&parsed);
        };
        take(&mut intake, part(10, 0, 80, true));
        take(&mut intake, part(11, 0, 160, false));
        intake.commit(&mut writer, &mut counters);
        let now = figures.read();
        assert_eq!((now.packets, now.in_flows, now.held, now.bursts), (2, 0, 2, 1));
        assert!(now.is_balanced());

        assert!(!intake.expire(Nanos(29_999_999_999), &mut writer, &mut counters));
        assert_eq!(figures.read().held, 2);
        assert!(!intake.expire(Nanos(30_000_000_010), &mut writer, &mut counters));
        let now = figures.read();
        assert_eq!((now.packets, now.in_flows, now.held, now.bursts), (2, 2, 0, 1));

        take(&mut intake, part(40_000_000_000, 0, 80, true));
        take(&mut intake, part(40_000_000_001, 7, 0, true));
        intake.commit(&mut writer, &mut counters);
        take(&mut intake, part(40_000_000_002, 0, 240, true));
        intake.finish(&mut writer, &mut counters);
        let now = figures.read();
        assert_eq!((now.packets, now.in_flows, now.held, now.bursts), (5, 5, 0, 3));
        let mut records = Vec::new();
        sweeper.flush(Nanos(50_000_000_000), &mut records);
        let mut flows: Vec<_> =
            records.iter().map(|r| (r.key.lo_port, r.to_destination.packets_total)).collect();
        flows.sort_unstable();
        assert_eq!(flows, [(0, 2), (7, 3)]);
    }
}
