//! Frames to flow updates: the way of a packet through a worker, the same for a live port and a capture file.

use flowtable::{Burst, MAX_BURST, Nanos, PortId, Writer};

use crate::ledger::{CountersWriter, Tally};
use crate::reason::Reason;
use crate::wire::{self, Beside, LinkType, ParseOptions, Parsed};

/// Gathers the parsed packets of a burst and hands them to the table together. Never allocates after it is made.
#[derive(Debug)]
pub struct Intake {
    burst: Burst,
    tally: Tally,
    options: ParseOptions,
    beside: Beside,
}

impl Intake {
    /// An intake that parses by `options`.
    pub fn new(options: ParseOptions) -> Intake {
        Intake {
            burst: Burst::with_capacity(MAX_BURST),
            tally: Tally::default(),
            options,
            beside: Beside::default(),
        }
    }

    /// Whether [`Intake::commit`] must come before the next frame.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.burst.len() == MAX_BURST
    }

    /// Parses a frame received on `port` at `at`. A frame more than [`MAX_BURST`] since the last commit would be counted
    /// as dropped for a full table; callers commit before.
    #[inline]
    pub fn take(&mut self, link: LinkType, data: &[u8], wire_len: u32, at: Nanos, port: PortId) {
        self.tally.packets += 1;
        self.tally.bytes += u64::from(wire_len);
        match wire::parse(link, data, wire_len, at, port, &self.options, &mut self.beside) {
            Ok(_) if self.is_full() => self.tally.drop_for(Reason::TableFull),
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

    /// Takes a packet with more to it: what the parser put beside it.
    #[cold]
    #[inline(never)]
    fn take_beside(&mut self, parsed: &Parsed) {
        if let Some(quote) = self.beside.quote {
            self.burst.push_quote(quote);
        }
        match self.beside.tunnel {
            Some(tunnel) => self.burst.push_in(tunnel, parsed.packet),
            None => self.burst.push(parsed.packet),
        }
    }

    /// Counts what was gathered in the table and in the ledger.
    #[inline]
    pub fn commit(&mut self, writer: &mut Writer, counters: &mut CountersWriter) {
        let outcome = writer.update(&self.burst);
        self.tally.in_flows += u64::from(outcome.in_flows);
        self.tally.drop_many(Reason::TableFull, outcome.table_full);
        self.tally.drop_many(Reason::OwnTraffic, outcome.excluded);
        counters.add(&self.tally);
        self.burst.clear();
        self.tally.clear();
    }
}
