//! Times and counts as people write them: `500ms`, `2m`, `1M`. Used by the settings file and the HTTP endpoint alike.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};

/// What a time must look like; the end of every error about one.
pub const DURATION_FORM: &str = "expected a time with its unit, such as \"500ms\", \"60s\", \"2m\" or \"1h\"";
/// What a count must look like; the end of every error about one.
pub const COUNT_FORM: &str =
    "expected a whole number, such as 4096, \"64k\" (64,000), \"64Ki\" (65,536) or \"1M\"";

/// Longest unit first, in ns. What [`format_duration`] picks from.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const COUNT_UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("k", 1_000),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("", 1),
];

/// Reads a time: a whole number and one of `ns us ms s m h`. At most `u64::MAX` ns, 584 years.
///
/// # Errors
/// [`DURATION_FORM`] for anything else, a bare number too.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').ok_or(DURATION_FORM)?;
    let (number, unit) = text.split_at(digits);
    let (_, unit_ns) = DURATION_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or(DURATION_FORM)?;
    let ns = plain_number(number).and_then(|n| n.checked_mul(*unit_ns)).ok_or(DURATION_FORM)?;
    Ok(Duration::from_nanos(ns))
}

/// Writes a time in the longest unit that divides it, so that [`parse_duration`] gives it back. Held at `u64::MAX` ns.
pub fn format_duration(duration: Duration) -> String {
    let ns = flowtable::duration_ns(duration);
    if ns == 0 {
        return "0s".to_owned();
    }
    let fitting = DURATION_UNITS.iter().find(|(_, unit_ns)| ns.is_multiple_of(*unit_ns));
    fitting.map_or_else(String::new, |(name, unit_ns)| format!("{}{name}", ns / unit_ns))
}

/// Reads a count: digits, underscores between them, and one of `k M G Ki Mi Gi` behind.
///
/// # Errors
/// [`COUNT_FORM`] for anything else, and above `u64::MAX`.
pub fn parse_count(text: &str) -> Result<u64, &'static str> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = COUNT_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or(COUNT_FORM)?;
    plain_number(number).and_then(|n| n.checked_mul(*factor)).ok_or(COUNT_FORM)
}

fn plain_number(digits: &str) -> Option<u64> {
    digits.replace('_', "").parse().ok()
}

/// `#[serde(deserialize_with)]` for a count that fits `T`: an integer, or text for [`parse_count`].
///
/// # Errors
/// [`COUNT_FORM`], or the greatest number where it does not fit `T`.
pub fn count<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(Count(PhantomData))
}

/// The same, or `None` for the text `auto`.
///
/// # Errors
/// As for [`count`].
pub fn auto_or_count<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(AutoOrCount(Count(PhantomData)))
}

struct Count<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for Count<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(COUNT_FORM.trim_start_matches("expected "))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let limit = u64::MAX >> (64 - 8 * size_of::<T>().min(8));
        T::try_from(number).map_err(|_| E::custom(format_args!("expected a number up to {limit}")))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_u64(u64::try_from(number).map_err(|_| E::custom("expected a number from 0 up"))?)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.visit_u64(parse_count(text).map_err(E::custom)?)
    }
}

struct AutoOrCount<T>(Count<T>);

impl<T: TryFrom<u64>> Visitor<'_> for AutoOrCount<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\" or ")?;
        self.0.expecting(f)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<T>, E> {
        self.0.visit_u64(number).map(Some)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<T>, E> {
        self.0.visit_i64(number).map(Some)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
        if text.trim() == "auto" {
            return Ok(None);
        }
        let number = parse_count(text)
            .map_err(|form| E::custom(form.replacen("expected ", "expected \"auto\" or ", 1)))?;
        self.visit_u64(number)
    }
}

/// `#[serde(with)]` for a [`Duration`] as text.
pub mod duration {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{self, Deserializer, Visitor};
    use serde::ser::Serializer;

    use super::{DURATION_FORM, format_duration, parse_duration};

    /// Writes `duration` with its unit.
    ///
    /// # Errors
    /// Only what `serializer` reports.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*duration))
    }

    /// Reads a time with its unit.
    ///
    /// # Errors
    /// [`DURATION_FORM`] for anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(Text)
    }

    struct Text;

    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(DURATION_FORM.trim_start_matches("expected "))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse_duration(text).map_err(E::custom)
        }
    }
}

/// `#[serde(with)]` for a [`Duration`] that may be left out.
pub mod optional_duration {
    use std::time::Duration;

    use serde::de::Deserializer;
    use serde::ser::Serializer;

    /// Writes `duration` with its unit, or nothing.
    ///
    /// # Errors
    /// Only what `serializer` reports.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::duration::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time with its unit.
    ///
    /// # Errors
    /// As for one that must be there.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        super::duration::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_unit_and_written_back() {
        for (text, ns) in [
            ("1ns", 1),
            ("20us", 20_000),
            ("500ms", 500_000_000),
            ("90s", 90_000_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
        ] {
            let duration = Duration::from_nanos(ns);
            assert_eq!(parse_duration(text), Ok(duration));
            assert_eq!(format_duration(duration), text);
        }
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn a_time_without_number_or_unit_or_beyond_the_range_is_refused() {
        for text in ["", "60", "s", "60x", "-1s", "1.5s", "1 s s", "99999999999999h"] {
            assert_eq!(parse_duration(text), Err(DURATION_FORM), "{text}");
        }
    }

    #[test]
    fn a_count_takes_underscores_and_suffixes() {
        for (text, number) in
            [("0", 0), ("1_000", 1_000), ("64k", 64_000), ("64Ki", 65_536), ("1M", 1_000_000)]
        {
            assert_eq!(parse_count(text), Ok(number), "{text}");
        }
        for text in ["", "k", "-1", "1.5M", "1T", "99999999999G"] {
            assert_eq!(parse_count(text), Err(COUNT_FORM), "{text}");
        }
    }
}
