//! `[flow]`: the flow table, when records are cut, and what is counted.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use flowtable::{Prefetching, Timeouts, duration_ns};
use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::dedup::Dedup;
use super::error::Fault;
use super::list;
use super::range::within;
use super::units::{self, parse_count};

/// Longest timeout of any kind.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Shortest active or idle timeout.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// The seed of a replay unless one is set, so that the same file gives the same bytes.
pub const REPLAY_SEED: u64 = 0;

/// The flow tables and their records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowConfig {
    /// Flows in the table of each worker, 1 to 2^31. The memory is taken at start.
    #[serde(deserialize_with = "units::count")]
    pub capacity: u32,
    /// Blocks of each worker for details that few flows have: a tunnel takes one, counts of lost segments one, gaps in the
    /// sequence one each way, events beyond those of the handshake and two more (five in IPv4 outside tunnels) one for
    /// seven. `None` is a quarter of the capacity.
    #[serde(serialize_with = "auto_or_number", deserialize_with = "units::auto_or_count")]
    pub details: Option<u32>,
    /// How a table of 65,536 flows or more asks memory for its lines. `None` is what is known to be best on the processor.
    #[serde(with = "auto_or_prefetching")]
    pub prefetching: Option<Prefetching>,
    /// A live flow gets a record at least this often.
    #[serde(with = "units::duration")]
    pub active_timeout: Duration,
    /// How long a flow may be silent before its last record.
    pub idle_timeout: IdleTimeouts,
    /// How long a closed TCP connection waits for stragglers before its last record; 0 does not wait.
    #[serde(with = "units::duration")]
    pub close_linger: Duration,
    /// How often the tables are looked through for records to cut, 10 ms to 10 s.
    #[serde(with = "units::duration")]
    pub sweep_interval: Duration,
    /// Whether the same 5-tuple in two VLANs is two flows.
    pub key_vlan: bool,
    /// Whether the same 5-tuple in two tunnels is two flows.
    pub key_tunnel: bool,
    /// Whether a packet that comes twice counts once.
    pub dedup: Dedup,
    /// Whether the probe's own export opens flows.
    pub own_traffic: bool,
    /// What is counted as bytes.
    pub bytes: ByteCount,
    /// Ports from 1024 up that are services: they decide `flow.initiator` as those below 1024 do.
    #[serde(with = "list::ports")]
    pub service_ports: Vec<u16>,
    /// Goes into the trace ids and the placement in the table.
    pub seed: Seed,
    /// The seed of `flow.community_id`; all tools that compare ids must use the same.
    #[serde(deserialize_with = "units::count")]
    pub community_id_seed: u16,
}

/// Idle timeouts by protocol, 1 ms to 24 h.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdleTimeouts {
    /// An established TCP connection.
    #[serde(with = "units::duration")]
    pub tcp: Duration,
    /// A TCP connection whose handshake is not complete.
    #[serde(with = "units::duration")]
    pub tcp_opening: Duration,
    /// UDP.
    #[serde(with = "units::duration")]
    pub udp: Duration,
    /// ICMP and ICMPv6.
    #[serde(with = "units::duration")]
    pub icmp: Duration,
    /// Every other protocol.
    #[serde(with = "units::duration")]
    pub other: Duration,
}

impl Default for FlowConfig {
    fn default() -> FlowConfig {
        let timeouts = Timeouts::default();
        FlowConfig {
            capacity: 1_000_000,
            details: None,
            prefetching: None,
            active_timeout: Duration::from_nanos(timeouts.active_ns),
            idle_timeout: IdleTimeouts::default(),
            close_linger: Duration::from_nanos(timeouts.close_linger_ns),
            sweep_interval: Duration::from_millis(500),
            key_vlan: true,
            key_tunnel: true,
            dedup: Dedup::Off,
            own_traffic: false,
            bytes: ByteCount::Ip,
            service_ports: Vec::new(),
            seed: Seed::Auto,
            community_id_seed: 0,
        }
    }
}

impl Default for IdleTimeouts {
    fn default() -> IdleTimeouts {
        let timeouts = Timeouts::default();
        IdleTimeouts {
            tcp: Duration::from_nanos(timeouts.tcp_ns),
            tcp_opening: Duration::from_nanos(timeouts.tcp_opening_ns),
            udp: Duration::from_nanos(timeouts.udp_ns),
            icmp: Duration::from_nanos(timeouts.icmp_ns),
            other: Duration::from_nanos(timeouts.other_ns),
        }
    }
}

impl FlowConfig {
    /// The timeouts as the flow table takes them.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            active_ns: duration_ns(self.active_timeout),
            tcp_ns: duration_ns(self.idle_timeout.tcp),
            tcp_opening_ns: duration_ns(self.idle_timeout.tcp_opening),
            udp_ns: duration_ns(self.idle_timeout.udp),
            icmp_ns: duration_ns(self.idle_timeout.icmp),
            other_ns: duration_ns(self.idle_timeout.other),
            close_linger_ns: duration_ns(self.close_linger),
        }
    }

    /// Blocks of each worker for details of flows.
    pub fn details(&self) -> u32 {
        self.details.unwrap_or(self.capacity / 4)
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        within("flow.capacity", u64::from(self.capacity), 1..=1 << 31)?;
        check_timeouts("flow.", &self.timeouts())?;
        let interval = Duration::from_millis(10)..=Duration::from_secs(10);
        within("flow.sweep_interval", self.sweep_interval, interval)?;
        within("flow.details", u64::from(self.details()), 0..=1 << 31)?;
        self.dedup.check()
    }
}

/// The text `auto`, or the name of a [`Prefetching`].
mod auto_or_prefetching {
    use super::{Deserialize, Deserializer, Prefetching, Serializer};
    use flowtable::UnknownPrefetching;
    use serde::de::Error;

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(
        prefetching: &Option<Prefetching>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(prefetching.map_or("auto", Prefetching::name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Prefetching>, D::Error> {
        match String::deserialize(deserializer)?.trim() {
            "auto" => Ok(None),
            name => name.parse().map(Some).map_err(|error: UnknownPrefetching| {
                D::Error::custom(error.to_string().replacen("expected ", "expected \"auto\", ", 1))
            }),
        }
    }
}

fn auto_or_number<S: Serializer>(number: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.serialize_u32(*number),
        None => serializer.serialize_str("auto"),
    }
}

/// Checks the range of every timeout; the fault's key is that of the settings file behind `prefix`.
///
/// # Errors
/// The first timeout out of range.
pub fn check_timeouts(prefix: &str, timeouts: &Timeouts) -> Result<(), Fault> {
    for (key, timeout_ns, shortest) in [
        ("active_timeout", timeouts.active_ns, MIN_TIMEOUT),
        ("idle_timeout.tcp", timeouts.tcp_ns, MIN_TIMEOUT),
        ("idle_timeout.tcp_opening", timeouts.tcp_opening_ns, MIN_TIMEOUT),
        ("idle_timeout.udp", timeouts.udp_ns, MIN_TIMEOUT),
        ("idle_timeout.icmp", timeouts.icmp_ns, MIN_TIMEOUT),
        ("idle_timeout.other", timeouts.other_ns, MIN_TIMEOUT),
        ("close_linger", timeouts.close_linger_ns, Duration::ZERO),
    ] {
        within(&format!("{prefix}{key}"), Duration::from_nanos(timeout_ns), shortest..=MAX_TIMEOUT)?;
    }
    Ok(())
}

/// What `flow.bytes.*` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ByteCount {
    /// IP octets, as IPFIX `octetDeltaCount`.
    Ip,
    /// Whole frames.
    Frame,
}

/// Where trace ids start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// [`REPLAY_SEED`] for a replay, random for a live run.
    #[default]
    Auto,
    /// Another at each start.
    Random,
    /// This one: the same packets give the same ids.
    Fixed(u64),
}

impl Seed {
    /// The seed of a replay; `random` is asked only where the setting says so.
    pub fn for_replay(self, random: impl FnOnce() -> u64) -> u64 {
        match self {
            Seed::Auto => REPLAY_SEED,
            Seed::Random => random(),
            Seed::Fixed(seed) => seed,
        }
    }

    /// The seed of a live run; `random` is asked unless the seed is fixed.
    pub fn for_live(self, random: impl FnOnce() -> u64) -> u64 {
        match self {
            Seed::Auto | Seed::Random => random(),
            Seed::Fixed(seed) => seed,
        }
    }
}

const SEED_FORM: &str = "expected \"auto\", \"random\" or a whole number from 0 up to 2^64-1";

impl FromStr for Seed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Seed, &'static str> {
        match text.trim() {
            "auto" => Ok(Seed::Auto),
            "random" => Ok(Seed::Random),
            number => parse_count(number).map(Seed::Fixed).map_err(|_: &str| SEED_FORM),
        }
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Seed::Auto => serializer.serialize_str("auto"),
            Seed::Random => serializer.serialize_str("random"),
            // TOML's integers end at 2^63-1, so a seed travels as text.
            Seed::Fixed(seed) => serializer.collect_str(seed),
        }
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seed, D::Error> {
        struct SeedVisitor;

        impl Visitor<'_> for SeedVisitor {
            type Value = Seed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SEED_FORM.trim_start_matches("expected "))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Seed, E> {
                u64::try_from(number).map(Seed::Fixed).map_err(|_| E::custom(SEED_FORM))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Seed, E> {
                Ok(Seed::Fixed(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seed, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(SeedVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_flow_table() {
        assert_eq!(FlowConfig::default().timeouts(), Timeouts::default());
    }

    #[test]
    fn a_replay_is_repeatable_and_a_live_run_is_not_unless_seeded() {
        assert_eq!(Seed::Auto.for_replay(|| 9), REPLAY_SEED);
        assert_eq!(Seed::Auto.for_live(|| 9), 9);
        assert_eq!(Seed::Random.for_replay(|| 9), 9);
        assert_eq!(Seed::Fixed(7).for_live(|| 9), 7);
        assert_eq!("18446744073709551615".parse(), Ok(Seed::Fixed(u64::MAX)));
        assert_eq!("-1".parse::<Seed>(), Err(SEED_FORM));
    }

    #[test]
    fn the_key_of_the_first_bad_timeout_is_named() {
        let timeouts = Timeouts { udp_ns: 0, ..Timeouts::default() };
        let fault = check_timeouts("flow.", &timeouts).unwrap_err();
        assert_eq!(fault.to_string(), r#"flow.idle_timeout.udp = "0s": expected "1ms" to "24h""#);
    }
}
