//! Figures: the median of several runs with its spread, and the list of them a program can read.

use serde::Serialize;

/// What several runs gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the runs gave more; the mean of the two in the middle where their number is even.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; all 0 where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Spread { median: 0.0, min: 0.0, max: 0.0 };
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Spread { median, min, max }
    }
}

/// One figure of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value, in `unit`.
    pub value: f64,
    /// The unit.
    pub unit: &'static str,
}

/// All figures of a run of the benchmarks.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one value.
    pub fn add(&mut self, name: &str, value: f64, unit: &'static str) {
        // Four decimals are more than any of them repeats to.
        let value = (value * 10_000.0).round() / 10_000.0;
        self.0.push(Figure { name: name.to_owned(), value, unit });
    }

    /// Adds a median under `name`, and its spread under `name_min` and `name_max`.
    pub fn add_spread(&mut self, name: &str, spread: Spread, unit: &'static str) {
        self.add(name, spread.median, unit);
        self.add(&format!("{name}_min"), spread.min, unit);
        self.add(&format!("{name}_max"), spread.max, unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 9.0]), Spread { median: 3.0, min: 1.0, max: 9.0 });
        assert_eq!(Spread::of([3.0, 1.0]).median, 2.0);
        assert_eq!(Spread::of([]).max, 0.0);
    }
}
