//! An instant as text that both people and programs read without loss.

use std::fmt;

use flowtable::Nanos;
use serde::Serialize;
use serde::ser::Serializer;
use utoipa::ToSchema;

const DAY_S: u64 = 86_400;
const SECOND_NS: u64 = 1_000_000_000;

/// An instant in UTC with nanoseconds, RFC 3339: `2026-01-31T12:00:00.000000001Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00.000000001Z")]
pub struct Timestamp(pub Nanos);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ns) = (self.0.0 / SECOND_NS, self.0.0 % SECOND_NS);
        let (year, month, day) = civil(seconds / DAY_S);
        let of_day = seconds % DAY_S;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Counts years from 1 March, so that the leap day comes last, in eras of 400 years (146,097 days).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_rfc_3339() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400 * SECOND_NS, "2000-02-29T00:00:00.000000000Z"),
            (4_107_542_399 * SECOND_NS, "2100-02-28T23:59:59.000000000Z"),
            (4_107_542_400 * SECOND_NS, "2100-03-01T00:00:00.000000000Z"),
            (1_735_689_599 * SECOND_NS + 1, "2024-12-31T23:59:59.000000001Z"),
        ] {
            assert_eq!(Timestamp(Nanos(ns)).to_string(), text);
        }
    }
}
