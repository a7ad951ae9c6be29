//! The table at the end: each row beside its mark, and beside what Ethernet can carry.

use std::collections::HashMap;
use std::fmt::Write;

use crate::figures::Figures;
use crate::scenarios::{Mark, Scenario};

/// Minimum-size frames a second of full-duplex Ethernet in one direction, in millions: 64 B, preamble and gap make 672 bits.
pub const LINE_RATES: [(u32, f64); 4] = [(10, 14.88), (25, 37.2), (40, 59.5), (100, 148.8)];

/// Why rows were not measured, by name.
pub type Reasons = HashMap<&'static str, String>;

/// The table of `scenarios`: those with a figure, and those of which `reasons` says why they have none.
pub fn table<'a>(
    scenarios: impl Iterator<Item = &'a Scenario>,
    figures: &Figures,
    reasons: &Reasons,
) -> String {
    let mut text = format!(
        "{:<26} {:>11} {:<8} {:>23} {:>7}  {:>9}  {:<9} what\n",
        "name", "value", "unit", "min - max", "spread", "mark", ""
    );
    let mut not_asked_for = 0;
    for scenario in scenarios {
        match reasons.get(scenario.name) {
            None if figures.value(scenario.name).is_none() => not_asked_for += 1,
            reason => line(&mut text, scenario, figures, reason.map_or("", String::as_str)),
        }
    }
    if not_asked_for > 0 {
        text += &format!("{not_asked_for} others were not asked for; --list names them\n");
    }
    text
}

fn line(text: &mut String, scenario: &Scenario, figures: &Figures, reason: &str) {
    let mark = match scenario.mark {
        Some(Mark::AtLeast(mark)) => format!(">= {}", short(mark)),
        Some(Mark::AtMost(mark)) => format!("<= {}", short(mark)),
        None => String::new(),
    };
    let value = figures.value(scenario.name);
    let verdict = match (value, scenario.mark) {
        (None, _) => "not measured".to_owned(),
        (Some(_), None) => String::new(),
        (Some(value), Some(mark)) if mark.is_met(value) => "met".to_owned(),
        (Some(_), Some(_)) => "MISSED".to_owned(),
    };
    let what = if value.is_none() { reason } else { scenario.what };
    let (range, spread) = figures.spread(scenario.name).map_or_else(Default::default, |spread| {
        (format!("{} - {}", short(spread.min), short(spread.max)), format!("{:.0}%", spread.percent()))
    });
    let written = writeln!(
        text,
        "{:<26} {:>11} {:<8} {range:>23} {spread:>7}  {mark:>9}  {verdict:<9} {what}",
        scenario.name,
        value.map_or_else(|| "-".to_owned(), short),
        scenario.unit,
    );
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// The share of each line rate that one worker reached at each number of flows.
pub fn line_rates(figures: &Figures) -> String {
    let mut text = format!("{:<20}", "64 B line rate, Mpps");
    for (gbits, mpps) in LINE_RATES {
        text += &format!("{:>18}", format!("{gbits} GbE: {mpps}"));
    }
    text.push('\n');
    for (name, _) in RX_BY_FLOWS {
        let Some(mpps) = figures.value(name) else { continue };
        text += &format!("{name:<20}");
        for (_, line) in LINE_RATES {
            text += &format!("{:>17.0}%", mpps / line * 100.0);
        }
        text.push('\n');
    }
    text
}

/// Figures that make the plot, and their flows.
pub const RX_BY_FLOWS: [(&str, f64); 5] = [
    ("rx_64B_10k_flows", 1e4),
    ("rx_64B_64k_flows", 64e3),
    ("rx_64B_1M_flows", 1e6),
    ("rx_64B_4M_flows", 4e6),
    ("rx_64B_10M_flows", 1e7),
];

/// A number with as many places as say something.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e6 {
        format!("{:.2} M", value / 1e6)
    } else if magnitude >= 10e3 {
        format!("{:.1} k", value / 1e3)
    } else if magnitude >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Spread;
    use crate::scenarios::SCENARIOS;

    #[test]
    fn a_row_says_whether_its_mark_is_met_or_why_it_was_not_measured() {
        let mut figures = Figures::default();
        figures.add_spread("rx_64B_10k_flows", Spread::of([34.0, 36.0, 37.5]), "Mpps");
        figures.add("worker_allocs", 3.0, "allocations");
        let reasons = Reasons::from([("rx_two_workers_ratio", "there is one processor".to_owned())]);
        let table = table(SCENARIOS.iter(), &figures, &reasons);
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
        let met = line("rx_64B_10k_flows");
        assert!(
            met.contains(" 36 Mpps") && met.contains("34 - 37.50") && met.contains(">= 35  met"),
            "{met}"
        );
        assert!(met.contains("10%"), "3.5 of 36: {met}");
        assert!(line("worker_allocs").contains("<= 0  MISSED"));
        assert!(line("rx_two_workers").contains("not measured there is one processor"));
        assert_eq!(table.lines().count(), 1 + 3 + 1, "{table}");
        assert!(
            table.ends_with(&format!(
                "\n{} others were not asked for; --list names them\n",
                SCENARIOS.len() - 3
            ))
        );
    }

    #[test]
    fn numbers_are_short() {
        let texts = [2.5e6, 600e3, 275.0, 0.55, 14.881, 0.0].map(short);
        assert_eq!(texts, ["2.50 M", "600.0 k", "275", "0.55", "14.88", "0"]);
    }
}
