//! Which records are exported: conditions on a record, and a sample of flows. Pure: decides on what the record says.
//!
//! A record is first held against the conditions, then its flow against the sample, so that a record is left out for one
//! reason. All records of a flow are in the sample or none.

mod sample;

use std::net::IpAddr;

use flowtable::{EndReason, FlowRecord, protocol};
use ipnet::IpNet;

use crate::span::names;

pub use sample::Sample;

/// What a record must be to be exported. What is empty or 0 lets all through; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Either end is in one of these.
    pub networks: Vec<IpNet>,
    /// Neither end is in one of these.
    pub excluded_networks: Vec<IpNet>,
    /// Either end has one of these ports. Protocols without ports have none, ICMP too.
    pub ports: Vec<u16>,
    /// Neither end has one of these ports.
    pub excluded_ports: Vec<u16>,
    /// IP protocol numbers.
    pub protocols: Vec<u8>,
    /// Why the record was cut.
    pub end_reasons: Vec<EndReason>,
    /// Packets of the window at least, both ways together.
    pub min_packets: u64,
    /// Octets of the window at least, both ways together.
    pub min_bytes: u64,
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is exported.
    Export,
    /// A condition does not hold.
    Filtered,
    /// Its flow is not in the sample.
    SampledOut,
}

/// Decides which records are exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// `None` where every record meets them.
    conditions: Option<Conditions>,
    /// `None` where every flow is in it.
    sample: Option<Sample>,
}

impl RecordFilter {
    /// Exports records that meet `conditions`, of one in `sample` flows; 0 and 1 are all flows.
    pub fn new(conditions: Conditions, sample: u32) -> RecordFilter {
        RecordFilter {
            conditions: (conditions != Conditions::default()).then_some(conditions),
            sample: (sample > 1).then(|| Sample::one_in(sample)),
        }
    }

    /// What becomes of `record`. Allocates nothing.
    pub fn verdict(&self, record: &FlowRecord) -> Verdict {
        if self.conditions.as_ref().is_some_and(|conditions| !conditions.hold(record)) {
            return Verdict::Filtered;
        }
        match self.sample {
            Some(sample) if !sample.has(&record.key) => Verdict::SampledOut,
            _ => Verdict::Export,
        }
    }
}

impl Conditions {
    fn hold(&self, record: &FlowRecord) -> bool {
        let (there, back) = (&record.to_destination, &record.to_source);
        there.packets_delta.saturating_add(back.packets_delta) >= self.min_packets
            && there.bytes_delta.saturating_add(back.bytes_delta) >= self.min_bytes
            && allows(&self.protocols, &record.key.protocol)
            && allows(&self.end_reasons, &record.end_reason)
            && self.hold_for_ports(record)
            && self.hold_for_addresses(record)
    }

    fn hold_for_ports(&self, record: &FlowRecord) -> bool {
        let (lo, hi) = (record.key.lo_port, record.key.hi_port);
        // What stands in the place of ICMP's ports is a message.
        let has_ports = !matches!(record.key.protocol, protocol::ICMP | protocol::ICMPV6);
        let either = |ports: &[u16]| has_ports && (ports.contains(&lo) || ports.contains(&hi));
        (self.ports.is_empty() || either(&self.ports)) && !either(&self.excluded_ports)
    }

    fn hold_for_addresses(&self, record: &FlowRecord) -> bool {
        if self.networks.is_empty() && self.excluded_networks.is_empty() {
            return true;
        }
        let ends = [record.key.ip(record.key.lo_address), record.key.ip(record.key.hi_address)];
        let either =
            |networks: &[IpNet]| networks.iter().any(|network| ends.iter().any(|end| network.contains(end)));
        (self.networks.is_empty() || either(&self.networks)) && !either(&self.excluded_networks)
    }
}

fn allows<T: PartialEq>(allowed: &[T], value: &T) -> bool {
    allowed.is_empty() || allowed.contains(value)
}

/// An address, or a network such as `10.0.0.0/8`; bits behind the prefix mean nothing.
pub fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse().ok(),
    }
}

/// The number of an IP protocol: a name as `network.transport` has it, in any case, or the number itself.
pub fn transport(text: &str) -> Option<u8> {
    let name = text.to_ascii_lowercase();
    (0..=u8::MAX).find(|number| names::transport(*number) == name).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests;
