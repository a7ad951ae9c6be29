//! Frames to flow updates: the way of a packet through a worker, the same for a live port and a capture file.

use flowtable::{MAX_BURST, Nanos, Packet, PortId, Writer};

use crate::ledger::{CountersWriter, Tally};
use crate::reason::Reason;
use crate::wire::{self, Beside, LinkType, ParseOptions};

/// Gathers the parsed packets of a burst and hands them to the table together. Never allocates after it is made.
#[derive(Debug)]
pub struct Intake {
    packets: Vec<Packet>,
    tally: Tally,
    options: ParseOptions,
    beside: Beside,
}

impl Intake {
    /// An intake that parses by `options`.
    pub fn new(options: ParseOptions) -> Intake {
        Intake {
            packets: Vec::with_capacity(MAX_BURST),
            tally: Tally::default(),
            options,
            beside: Beside::default(),
        }
    }

    /// Whether [`Intake::commit`] must come before the next frame.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.packets.len() == MAX_BURST
    }

    /// Parses a frame received on `port` at `at`. A frame more than [`MAX_BURST`] since the last commit would be counted
    /// as dropped for a full table; callers commit before.
    #[inline]
    pub fn take(&mut self, link: LinkType, data: &[u8], wire_len: u32, at: Nanos, port: PortId) {
        self.tally.packets += 1;
        self.tally.bytes += u64::from(wire_len);
        match wire::parse(link, data, wire_len, at, port, &self.options, &mut self.beside) {
            Ok(_) if self.is_full() => self.tally.drop_for(Reason::TableFull),
            Ok(parsed) => {
                self.packets.push(parsed.packet);
                if let Some(anomaly) = parsed.anomaly {
                    self.tally.note(anomaly);
                }
            }
            Err(reason) => self.tally.drop_for(reason),
        }
    }

    /// Counts what was gathered in the table and in the ledger.
    #[inline]
    pub fn commit(&mut self, writer: &mut Writer, counters: &mut CountersWriter) {
        let outcome = writer.update_burst(&self.packets);
        self.tally.in_flows += u64::from(outcome.in_flows);
        self.tally.drop_many(Reason::TableFull, outcome.table_full);
        counters.add(&self.tally);
        self.packets.clear();
        self.tally.clear();
    }
}
