//! The plot: Mpps against flows, with the ceiling and what Ethernet carries. SVG written as text: two lines, four rules and
//! their names need no library, and the file is the same on every machine.

use std::fmt::Write;

use crate::figures::{Figures, Spread};
use crate::report::{LINE_RATES, RX_BY_FLOWS};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
/// Of the drawing in the picture: left, top, right, bottom.
const FRAME: [f64; 4] = [70.0, 50.0, 730.0, 400.0];
/// Flows from the left to the right, on a scale of powers.
const FLOWS: [f64; 2] = [7e3, 14e6];
/// The lowest Mpps drawn; the scale is one of powers, as worker and ceiling are far apart.
const LOWEST: f64 = 1.0;
const HIGHEST: f64 = 200.0;

/// The plot of `figures`; `None` where no number of flows was measured. `conditions` stands below the title.
pub fn svg(figures: &Figures, conditions: &str) -> Option<String> {
    let worker = points(figures, "");
    if worker.is_empty() {
        return None;
    }
    let mut svg = Svg::new(conditions);
    svg.axes();
    svg.series(&points(figures, "_ceiling"), "#888888", "ceiling: same port and loop, headers read");
    svg.series(&worker, "#1b6ca8", "one worker, median, least and most");
    Some(svg.finish())
}

fn points(figures: &Figures, end: &str) -> Vec<(f64, Spread)> {
    RX_BY_FLOWS
        .iter()
        .filter_map(|(name, flows)| Some((*flows, figures.spread(&format!("{name}{end}"))?)))
        .collect()
}

struct Svg {
    text: String,
    series: u32,
}

impl Svg {
    fn new(conditions: &str) -> Svg {
        let mut svg = Svg { text: String::new(), series: 0 };
        svg.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">"
        ));
        svg.put(format_args!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"));
        svg.label(
            [FRAME[0], 20.0],
            "start",
            "black",
            "Packets of 64 B a second and live flows: one worker core, virtual port",
        );
        svg.label([FRAME[0], 38.0], "start", "#666666", conditions);
        svg
    }

    fn axes(&mut self) {
        let [left, top, right, bottom] = FRAME;
        self.put(format_args!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"black\"/>",
            right - left,
            bottom - top
        ));
        for mpps in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0] {
            self.rule(y(mpps), "#eeeeee", "");
            self.label([left - 6.0, y(mpps) + 4.0], "end", "black", &format!("{mpps}"));
        }
        for (flows, name) in [(1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M"), (1e7, "10 M")] {
            self.label([x(flows), bottom + 18.0], "middle", "black", name);
        }
        self.label(
            [f64::midpoint(left, right), bottom + 38.0],
            "middle",
            "black",
            "live flows, in random order",
        );
        self.label([left - 60.0, top - 8.0], "start", "black", "Mpps");
        for (gbits, mpps) in LINE_RATES {
            self.rule(y(mpps), "#c0392b", "6 4");
            self.label([right - 4.0, y(mpps) - 4.0], "end", "#c0392b", &format!("{gbits} GbE: {mpps} Mpps"));
        }
    }

    /// Medians joined, least and most as bars.
    fn series(&mut self, points: &[(f64, Spread)], colour: &str, name: &str) {
        let line: Vec<String> =
            points.iter().map(|(flows, mpps)| format!("{:.1},{:.1}", x(*flows), y(mpps.median))).collect();
        self.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        ));
        for (flows, mpps) in points {
            let (x, low, high) = (x(*flows), y(mpps.min), y(mpps.max));
            self.put(format_args!(
                "<path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"{colour}\"/><circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>",
                y(mpps.median)
            ));
        }
        let at = FRAME[3] - 30.0 + f64::from(self.series) * 18.0;
        self.label([FRAME[0] + 12.0, at], "start", colour, name);
        self.series += 1;
    }

    fn rule(&mut self, y: f64, colour: &str, dashes: &str) {
        let [left, _, right, _] = FRAME;
        self.put(format_args!(
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/>"
        ));
    }

    fn label(&mut self, [x, y]: [f64; 2], anchor: &str, colour: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
        ));
    }

    fn put(&mut self, line: std::fmt::Arguments<'_>) {
        let written = writeln!(self.text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    fn finish(mut self) -> String {
        self.put(format_args!("</svg>"));
        self.text
    }
}

fn x(flows: f64) -> f64 {
    between(flows, FLOWS, [FRAME[0], FRAME[2]])
}

fn y(mpps: f64) -> f64 {
    between(mpps.clamp(LOWEST, HIGHEST), [LOWEST, HIGHEST], [FRAME[3], FRAME[1]])
}

/// Where `value` of the logarithmic scale `from` lies on `to`.
fn between(value: f64, from: [f64; 2], to: [f64; 2]) -> f64 {
    to[0] + (value / from[0]).ln() / (from[1] / from[0]).ln() * (to[1] - to[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_begin_and_end_at_the_frame() {
        assert!((x(FLOWS[0]) - FRAME[0]).abs() < 1e-9 && (x(FLOWS[1]) - FRAME[2]).abs() < 1e-9);
        assert!((y(LOWEST) - FRAME[3]).abs() < 1e-9 && (y(HIGHEST) - FRAME[1]).abs() < 1e-9);
        assert!((between(10.0, [1.0, 100.0], [0.0, 1.0]) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn there_is_a_point_for_each_number_of_flows_measured() {
        let mut figures = Figures::default();
        assert_eq!(svg(&figures, ""), None);
        for name in ["rx_64B_10k_flows", "rx_64B_10k_flows_ceiling", "rx_64B_1M_flows"] {
            figures.add_spread(name, Spread::of([20.0, 21.0, 22.0]), "Mpps");
        }
        let svg = svg(&figures, "a < b & c").unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("GbE").count(), 4);
        assert!(svg.contains("a &lt; b &amp; c") && svg.trim_end().ends_with("</svg>"));
    }
}
