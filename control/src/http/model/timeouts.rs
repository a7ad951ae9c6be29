//! Timeouts as the settings file has them: the same names, times as text with their unit.

use std::time::Duration;

use flowtable::duration_ns;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{Fault, check_timeouts, units};

/// When records are cut. Names and form are those of `[flow]` in the settings file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Timeouts {
    /// A live flow gets a record at least this often.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "1m")]
    pub active_timeout: Duration,
    /// How long a flow may be silent before its last record.
    pub idle_timeout: IdleTimeouts,
    /// How long a closed TCP connection waits for stragglers before its last record.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "2s")]
    pub close_linger: Duration,
}

/// Idle timeouts by protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IdleTimeouts)]
pub struct IdleTimeouts {
    /// An established TCP connection.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "2m")]
    pub tcp: Duration,
    /// A TCP connection whose handshake is not complete.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "10s")]
    pub tcp_opening: Duration,
    /// UDP.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "30s")]
    pub udp: Duration,
    /// ICMP and ICMPv6.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "10s")]
    pub icmp: Duration,
    /// Every other protocol.
    #[serde(with = "units::duration")]
    #[schema(value_type = String, example = "30s")]
    pub other: Duration,
}

impl From<flowtable::Timeouts> for Timeouts {
    fn from(timeouts: flowtable::Timeouts) -> Timeouts {
        let time = Duration::from_nanos;
        Timeouts {
            active_timeout: time(timeouts.active_ns),
            idle_timeout: IdleTimeouts {
                tcp: time(timeouts.tcp_ns),
                tcp_opening: time(timeouts.tcp_opening_ns),
                udp: time(timeouts.udp_ns),
                icmp: time(timeouts.icmp_ns),
                other: time(timeouts.other_ns),
            },
            close_linger: time(timeouts.close_linger_ns),
        }
    }
}

/// New timeouts; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutsPatch {
    /// 1 ms to 24 h.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10s")]
    pub active_timeout: Option<Duration>,
    /// Each 1 ms to 24 h.
    pub idle_timeout: IdleTimeoutsPatch,
    /// 0 s to 24 h.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2s")]
    pub close_linger: Option<Duration>,
}

/// New idle timeouts; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdleTimeoutsPatch {
    /// An established TCP connection.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2m")]
    pub tcp: Option<Duration>,
    /// A TCP connection whose handshake is not complete.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10s")]
    pub tcp_opening: Option<Duration>,
    /// UDP.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "30s")]
    pub udp: Option<Duration>,
    /// ICMP and ICMPv6.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10s")]
    pub icmp: Option<Duration>,
    /// Every other protocol.
    #[serde(with = "units::optional_duration", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "30s")]
    pub other: Option<Duration>,
}

impl TimeoutsPatch {
    /// `current` with what the patch gives.
    #[must_use]
    pub fn apply(&self, current: flowtable::Timeouts) -> flowtable::Timeouts {
        let or = |new: Option<Duration>, current_ns: u64| new.map_or(current_ns, duration_ns);
        flowtable::Timeouts {
            active_ns: or(self.active_timeout, current.active_ns),
            tcp_ns: or(self.idle_timeout.tcp, current.tcp_ns),
            tcp_opening_ns: or(self.idle_timeout.tcp_opening, current.tcp_opening_ns),
            udp_ns: or(self.idle_timeout.udp, current.udp_ns),
            icmp_ns: or(self.idle_timeout.icmp, current.icmp_ns),
            other_ns: or(self.idle_timeout.other, current.other_ns),
            close_linger_ns: or(self.close_linger, current.close_linger_ns),
        }
    }

    /// Checks the ranges, which are those of the settings file.
    ///
    /// # Errors
    /// The first timeout out of range.
    pub fn check(&self) -> Result<(), Fault> {
        check_timeouts("", &self.apply(flowtable::Timeouts::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_gives_and_nothing_else() {
        let patch: TimeoutsPatch = serde_json::from_str(r#"{"idle_timeout": {"udp": "5s"}}"#).unwrap();
        let defaults = flowtable::Timeouts::default();
        let expected = flowtable::Timeouts { udp_ns: 5_000_000_000, ..defaults };
        assert_eq!(patch.apply(defaults), expected);
        assert_eq!(patch.check(), Ok(()));
    }

    #[test]
    fn a_patch_out_of_range_names_its_key() {
        let patch: TimeoutsPatch = serde_json::from_str(r#"{"active_timeout": "25h"}"#).unwrap();
        assert_eq!(patch.check().unwrap_err().key, "active_timeout");
    }
}
