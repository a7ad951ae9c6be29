//! Figures: the median of several runs with its spread, and the list of them a program can read.

use serde::Serialize;

/// What several runs gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Half of the runs gave more; the mean of the two in the middle where their number is even.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many there were.
    pub runs: usize,
}

impl Spread {
    /// The spread of `values`; all 0 where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Spread::default();
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Spread { median, min, max, runs: values.len() }
    }

    /// From the least to the most, in hundredths of the median.
    pub fn percent(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.max - self.min) / self.median * 100.0 }
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

    /// Adds a median under `name`, its spread under `name_min` and `name_max`, and the number of runs under `name_runs`.
    pub fn add_spread(&mut self, name: &str, spread: Spread, unit: &'static str) {
        self.add(name, spread.median, unit);
        self.add_range(name, spread, unit);
    }

    /// Adds the worst of several runs under `name`, and beside it what [`Figures::add_spread`] does.
    pub fn add_worst(&mut self, name: &str, spread: Spread, unit: &'static str) {
        self.add(name, spread.max, unit);
        self.add(&format!("{name}_median"), spread.median, unit);
        self.add_range(name, spread, unit);
    }

    #[expect(clippy::cast_precision_loss, reason = "a few runs")]
    fn add_range(&mut self, name: &str, spread: Spread, unit: &'static str) {
        self.add(&format!("{name}_min"), spread.min, unit);
        self.add(&format!("{name}_max"), spread.max, unit);
        self.add(&format!("{name}_runs"), spread.runs as f64, "runs");
    }

    /// The value of `name`, where it was measured.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// The value of `name` with its least, its most and the number of runs, where it has them.
    pub fn spread(&self, name: &str) -> Option<Spread> {
        let of = |end: &str| self.value(&format!("{name}{end}"));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few runs")]
        let runs = of("_runs")? as usize;
        Some(Spread { median: self.value(name)?, min: of("_min")?, max: of("_max")?, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let spread = Spread::of([3.0, 1.0, 9.0]);
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 9.0, runs: 3 });
        assert_eq!(Spread::of([3.0, 1.0]).median, 2.0);
        assert_eq!(Spread::of([]).max, 0.0);
        assert!((Spread::of([8.0, 10.0, 11.0]).percent() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn a_spread_is_read_back_under_its_name() {
        let mut figures = Figures::default();
        figures.add_spread("speed", Spread::of([3.0, 1.0, 9.0]), "Mpps");
        figures.add("alone", 7.0, "B");
        assert_eq!(figures.spread("speed"), Some(Spread { median: 3.0, min: 1.0, max: 9.0, runs: 3 }));
        assert_eq!((figures.value("alone"), figures.spread("alone")), (Some(7.0), None));
        assert_eq!(figures.value("nothing"), None);
    }
}
