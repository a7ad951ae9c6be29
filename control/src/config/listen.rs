//! `[http]`: where the control endpoint listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// Where the control endpoint listens unless told otherwise: T-A-P-S on a telephone's keys.
///
/// Clear of OTLP (4317, 4318), the Collector (8888, 13133, 55679) and Prometheus and its exporters (9090-9999).
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8277);

/// The control endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port, or off.
    pub listen: Listen,
}

/// Where to listen, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// No control endpoint.
    Off,
    /// On this address; port 0 takes a free one.
    On(SocketAddr),
}

impl Default for Listen {
    fn default() -> Listen {
        Listen::On(DEFAULT_LISTEN)
    }
}

impl Listen {
    /// The address, where there is an endpoint.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::On(address) => Some(address),
        }
    }

    /// A line for the operator where others than this machine's users can reach the endpoint.
    pub(super) fn warning(self) -> Option<String> {
        let address = self.address().filter(|address| !address.ip().is_loopback())?;
        Some(format!(
            "http.listen = \"{address}\": other machines can reach the control endpoint, which has no passwords"
        ))
    }
}

const LISTEN_FORM: &str =
    "expected IP:PORT such as \"127.0.0.1:8277\" or \"[::1]:8277\", \"localhost:PORT\", or \"off\"";

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Listen, &'static str> {
        let text = text.trim();
        if text == "off" {
            return Ok(Listen::Off);
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok(),
            None => text.parse().ok(),
        };
        address.map(Listen::On).ok_or(LISTEN_FORM)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::On(address) => address.fmt(f),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(LISTEN_FORM))?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_localhost_and_off_are_taken() {
        assert_eq!("off".parse(), Ok(Listen::Off));
        assert_eq!("localhost:80".parse(), Ok(Listen::On(SocketAddr::from(([127, 0, 0, 1], 80)))));
        assert_eq!("[::1]:0".parse::<Listen>().unwrap().to_string(), "[::1]:0");
        assert_eq!(Listen::default().to_string(), "127.0.0.1:8277");
    }

    #[test]
    fn only_an_endpoint_that_others_can_reach_is_warned_about() {
        for (text, warned) in
            [("off", false), ("127.0.0.1:1", false), ("[::1]:1", false), ("0.0.0.0:1", true)]
        {
            assert_eq!(text.parse::<Listen>().unwrap().warning().is_some(), warned, "{text}");
        }
    }

    #[test]
    fn names_bare_ports_and_nonsense_are_refused() {
        for text in ["", "on", "8277", ":8277", "127.0.0.1", "probe.example:80", "localhost:99999"] {
            assert_eq!(text.parse::<Listen>(), Err(LISTEN_FORM), "{text}");
        }
    }
}
