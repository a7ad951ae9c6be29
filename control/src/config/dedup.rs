//! `flow.dedup`: `"off"`, or within which time and how many packets the same packet is a copy.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::range::within;
use super::units::{format_duration, parse_count, parse_duration};

const KEY: &str = "flow.dedup";
const FORM: &str = "expected \"off\", or a time and a number of packets such as \"500us,1024\"";

/// Whether a packet that was seen just before is left out, as a SPAN port sends some twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedup {
    /// Every packet counts.
    #[default]
    Off,
    /// A packet counts once.
    Within {
        /// The copy comes at most this long after the first, 1 us to 10 s.
        window: Duration,
        /// Packets remembered, 1 to 65,536.
        packets: u32,
    },
}

impl Dedup {
    pub(super) fn check(self) -> Result<(), Fault> {
        let Dedup::Within { window, packets } = self else {
            return Ok(());
        };
        let in_range = within(KEY, window, Duration::from_micros(1)..=Duration::from_secs(10))
            .and_then(|()| within(KEY, u64::from(packets), 1..=65_536));
        in_range.map_err(|fault| Fault::new(KEY, format!("\"{self}\""), fault.expected))
    }
}

impl FromStr for Dedup {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Dedup, &'static str> {
        if text.trim() == "off" {
            return Ok(Dedup::Off);
        }
        let (window, packets) = text.split_once(',').ok_or(FORM)?;
        let window = parse_duration(window).map_err(|_| FORM)?;
        let packets =
            parse_count(packets).ok().and_then(|packets| u32::try_from(packets).ok()).ok_or(FORM)?;
        Ok(Dedup::Within { window, packets })
    }
}

impl fmt::Display for Dedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dedup::Off => f.write_str("off"),
            Dedup::Within { window, packets } => write!(f, "{},{packets}", format_duration(*window)),
        }
    }
}

impl Serialize for Dedup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dedup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dedup, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(FORM))?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_and_written_back() {
        let window = Dedup::Within { window: Duration::from_micros(500), packets: 1024 };
        assert_eq!("500us, 1Ki".parse(), Ok(window));
        assert_eq!(window.to_string().parse(), Ok(window));
        assert_eq!("off".parse(), Ok(Dedup::Off));
        for text in ["", "on", "500us", "500,1024", "500us,many", "500us,1024,1"] {
            assert_eq!(text.parse::<Dedup>(), Err(FORM), "{text}");
        }
    }

    #[test]
    fn both_ends_of_the_ranges_are_allowed_and_nothing_beyond() {
        let check = |text: &str| text.parse::<Dedup>().unwrap().check().map_err(|fault| fault.to_string());
        assert_eq!((check("1us,1"), check("10s,65536")), (Ok(()), Ok(())));
        assert_eq!(check("999ns,1"), Err(r#"flow.dedup = "999ns,1": expected "1us" to "10s""#.to_owned()));
        assert_eq!(check("1us,0"), Err(r#"flow.dedup = "1us,0": expected 1 to 65536"#.to_owned()));
    }
}
