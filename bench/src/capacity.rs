//! What machine a link takes, worked out from the figures of a run: the tables of `CAPACITY.md`, which has the formulas.

use std::fmt::Write;

use crate::figures::Figures;
use crate::report::LINE_RATES;

/// Share of a worker's rate that is planned for: the rest is for bursts and busier minutes.
const HEADROOM: f64 = 0.7;
/// Mean octets of "simple IMIX", preamble and gap: 4342 / 12 + 20.
const IMIX_LINE_OCTETS: f64 = 4342.0 / 12.0 + 20.0;
/// `flow.active_timeout`, and how long an ended TCP connection keeps its slot: it lingers, and waits for a sweep.
const ACTIVE_SECONDS: f64 = 60.0;
const ENDED_SECONDS: f64 = 2.75;
/// A flow of which nothing is due is looked at that often: the shortest timeout.
const LOOK_SECONDS: f64 = 2.0;
/// The table's room over its flows.
const ROOM: f64 = 1.25;
/// A buffer for frames of up to 2,048 B.
const BUFFER_BYTES: f64 = 2_432.0;
/// Sizes of a receive ring.
const RING_MIN: f64 = 1_024.0;
const RING_MAX: f64 = 32_768.0;
const MIB: f64 = 1_048_576.0;
const HUGE_PAGE_MIB: f64 = 2.0;

/// Loads that the tables are for: live flows and new flows a second on the whole link.
const LOADS: [(&str, f64, f64); 3] =
    [("rx_64B_1M_flows", 1e6, 100e3), ("rx_64B_4M_flows", 4e6, 400e3), ("rx_64B_10M_flows", 10e6, 1e6)];

/// The figures the tables are made from.
struct Basis {
    bytes_per_flow: f64,
    open_ns: f64,
    sweep_ns_a_flow: f64,
    spans_per_s: f64,
    away_us: f64,
}

/// Both tables as Markdown; `None` where a figure is missing.
pub fn tables(figures: &Figures) -> Option<String> {
    let basis = Basis {
        bytes_per_flow: figures.value("bytes_per_flow")?,
        open_ns: figures.value("rx_64B_1M_flows_open_ns")?,
        sweep_ns_a_flow: figures.value("sweep_1M_ms")?,
        spans_per_s: figures.value("export_spans_per_s").or_else(|| figures.value("encode_spans_per_s"))?,
        away_us: figures.value("burst_max_us_median")?,
    };
    let mut text = String::from(
        "| link | traffic | Mpps | live flows | new flows/s | workers | table, GiB | descriptors a queue | buffers, huge pages | control cores | spans/s |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (gbits, line_mpps) in LINE_RATES {
        let imix = f64::from(gbits) * 1e3 / (IMIX_LINE_OCTETS * 8.0);
        for (traffic, mpps) in [("IMIX", imix), ("64 B", line_mpps)] {
            for (name, flows, new) in LOADS {
                let worker = figures.value(name)?;
                let row = Machine::for_load(&basis, mpps, worker, flows, new);
                row.write(&mut text, &format!("{gbits} GbE"), traffic, [flows, new]);
            }
        }
    }
    Some(text)
}

/// What a load takes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Machine {
    mpps: f64,
    workers: f64,
    table_gib: f64,
    descriptors: f64,
    huge_pages: f64,
    control: f64,
    spans: f64,
}

impl Machine {
    fn for_load(basis: &Basis, mpps: f64, worker_mpps: f64, flows: f64, new: f64) -> Machine {
        // A new flow costs its worker the time of opening beside that of its packet.
        let opening = new * basis.open_ns / 1e9;
        let workers = ((mpps / worker_mpps + opening) / HEADROOM).ceil();
        let slots = (flows + new * ENDED_SECONDS) * ROOM;
        let descriptors = (mpps * basis.away_us / workers).clamp(RING_MIN, RING_MAX);
        let descriptors = descriptors.log2().ceil().exp2();
        let buffers = workers * (descriptors + RING_MIN) * BUFFER_BYTES / MIB;
        let spans = new + flows / ACTIVE_SECONDS;
        let looks = flows / LOOK_SECONDS;
        let control = looks * basis.sweep_ns_a_flow / 1e9 + spans / basis.spans_per_s;
        Machine {
            mpps,
            workers,
            table_gib: slots * basis.bytes_per_flow / MIB / 1_024.0,
            descriptors,
            huge_pages: (buffers / HUGE_PAGE_MIB).ceil(),
            control: (control / HEADROOM).ceil(),
            spans,
        }
    }

    fn write(&self, text: &mut String, link: &str, traffic: &str, [flows, new]: [f64; 2]) {
        let written = writeln!(
            text,
            "| {link} | {traffic} | {:.1} | {:.0} M | {:.0} k | {} | {:.1} | {} | {} | {} | {:.0} k |",
            self.mpps,
            flows / 1e6,
            new / 1e3,
            self.workers,
            self.table_gib,
            self.descriptors,
            self.huge_pages,
            self.control,
            self.spans / 1e3
        );
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, 14 Mpps at 10 Mpps a worker, 1 M flows, 100 k new: 1.4 and 100 k * 200 ns = 0.02, 1.42 / 0.7 = 2.03, so 3
    /// workers; (1 M + 275 k) * 1.25 * 512 B = 816 MB = 0.760 GiB; 14 * 300 / 3 = 1,400 descriptors, so 2,048;
    /// 3 * 3,072 * 2,432 B = 21.4 MiB, 11 pages; half a sweep of 50 ms and 116,667 of 1 M spans: 0.142 / 0.7, one core.
    #[test]
    fn a_load_takes_what_it_takes_by_hand() {
        let basis = Basis {
            bytes_per_flow: 512.0,
            open_ns: 200.0,
            sweep_ns_a_flow: 50.0,
            spans_per_s: 1e6,
            away_us: 300.0,
        };
        let machine = Machine::for_load(&basis, 14.0, 10.0, 1e6, 100e3);
        assert_eq!((machine.workers, machine.descriptors), (3.0, 2_048.0));
        assert_eq!((machine.huge_pages, machine.control), (11.0, 1.0));
        assert!((machine.table_gib - 0.760).abs() < 1e-3, "{}", machine.table_gib);
        assert!((machine.spans - 116_666.7).abs() < 0.1);
    }

    #[test]
    fn a_run_that_lacks_a_figure_makes_no_table() {
        assert_eq!(tables(&Figures::default()), None);
    }
}
