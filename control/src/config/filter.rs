//! `[filter]`: which packets are looked at, and which records are exported.

use flowtable::EndReason;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::list::{self, Transport};
use super::range::within;
use super::units;
use crate::filter::{Conditions, RecordFilter};

/// Longest capture expression, in bytes.
const MAX_EXPRESSION_LEN: usize = 4_096;

/// Which packets are looked at, and which records are exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Packets that are looked at, as a pcap expression; empty for all.
    pub capture: String,
    /// One in so many flows is exported, 1 to 4,294,967,295; 1 exports all.
    #[serde(deserialize_with = "units::count")]
    pub sample: u32,
    /// Records that are exported.
    pub record: RecordFilterConfig,
}

/// Conditions on a record; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordFilterConfig {
    /// Either end is in one of these; empty for any.
    #[serde(with = "list")]
    pub addresses: Vec<IpNet>,
    /// Neither end is in one of these.
    #[serde(with = "list")]
    pub exclude_addresses: Vec<IpNet>,
    /// Either end has one of these ports; empty for any.
    #[serde(with = "list::ports")]
    pub ports: Vec<u16>,
    /// Neither end has one of these ports.
    #[serde(with = "list::ports")]
    pub exclude_ports: Vec<u16>,
    /// The protocol is one of these; empty for any.
    #[serde(with = "list")]
    pub transports: Vec<Transport>,
    /// The record was cut for one of these reasons; empty for any.
    #[serde(with = "list")]
    pub end_reasons: Vec<EndReason>,
    /// Least packets in the record's window, both ways together.
    #[serde(deserialize_with = "units::count")]
    pub min_packets: u64,
    /// Least octets in the record's window, both ways together.
    #[serde(deserialize_with = "units::count")]
    pub min_bytes: u64,
}

impl Default for FilterConfig {
    fn default() -> FilterConfig {
        FilterConfig { capture: String::new(), sample: 1, record: RecordFilterConfig::default() }
    }
}

impl FilterConfig {
    /// The filter of records.
    pub fn records(&self) -> RecordFilter {
        let record = &self.record;
        let conditions = Conditions {
            networks: record.addresses.clone(),
            excluded_networks: record.exclude_addresses.clone(),
            ports: record.ports.clone(),
            excluded_ports: record.exclude_ports.clone(),
            protocols: record.transports.iter().map(|transport| transport.0).collect(),
            end_reasons: record.end_reasons.clone(),
            min_packets: record.min_packets,
            min_bytes: record.min_bytes,
        };
        RecordFilter::new(conditions, self.sample)
    }

    /// One in so many flows is exported; `None` where all are.
    pub fn sampling_rate(&self) -> Option<u32> {
        Some(self.sample).filter(|rate| *rate > 1)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        within("filter.sample", u64::from(self.sample), 1..=u64::from(u32::MAX))?;
        // TOML's integers end at 2^63-1, and the settings travel through them.
        let most = u64::MAX >> 1;
        within("filter.record.min_packets", self.record.min_packets, 0..=most)?;
        within("filter.record.min_bytes", self.record.min_bytes, 0..=most)?;
        if self.capture.len() > MAX_EXPRESSION_LEN || self.capture.contains('\0') {
            let length = format!("{} bytes", self.capture.len());
            let expected = format!("expected at most {MAX_EXPRESSION_LEN} bytes of text");
            return Err(Fault::new("filter.capture", length, expected));
        }
        Ok(())
    }
}
