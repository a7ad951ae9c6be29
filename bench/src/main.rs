//! `dataplane-bench`: packets a second of one worker core and spans a second of one encoder core.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::encode::{self, EncodeFigures};
use bench::figures::Figures;
use bench::frames::{FLOWS_MAX, FRAME_LEN};
use bench::machine;
use bench::rx::{self, Plan, RxFigures};
use bench::stamped::StampedSource;
use clap::Parser;
use dataplane::dpdk::{Eal, EalOptions, Port, PortConfig};

/// Packet buffers of the port.
const MBUFS: u32 = 8_192;
/// Memory asked of DPDK: 8,192 buffers of 2.4 kB and its own needs.
const MEMORY_MIB: u32 = 64;
/// Minimal frames a second of 10 GbE, in millions.
const LINE_RATE_10G_MPPS: f64 = 14.88;
/// Share of its time a worker may wait for its processor before the figures are said to be of a busy machine.
const WAITED_MAX: f64 = 0.02;
/// The flows the mark is set for, and the mark in Mpps.
const MARK: (u32, f64) = (1_000_000, 8.0);

/// Measures packets a second of one worker core at 64 B, and spans a second of the encoder.
#[derive(Debug, Parser)]
struct Arguments {
    /// Flows taking turns, one measurement each; k and M stand for thousands and millions.
    #[arg(long, value_delimiter = ',', default_value = "10k,64k,1M", value_name = "LIST")]
    flows: Vec<FlowCount>,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Length of a measurement in ms.
    #[arg(long, default_value_t = 1_000, value_name = "MS")]
    slice_ms: u64,
    /// Five rounds of 400 ms.
    #[arg(long, conflicts_with_all = ["runs", "slice_ms"])]
    quick: bool,
    /// Processor of the worker; the last one by default. The other work goes to the first one.
    #[arg(long, value_name = "CPU")]
    worker_cpu: Option<usize>,
    /// Measures the worker alone, for a profiler to look at.
    #[arg(long, conflicts_with = "json")]
    worker_only: bool,
    /// Buffers going round, as the descriptors of a receive ring.
    #[arg(long, default_value_t = 4_096)]
    descriptors: u16,
    /// Where the list of figures goes.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A number of flows, as it was written.
#[derive(Clone, Debug)]
struct FlowCount {
    label: String,
    flows: u32,
}

impl FromStr for FlowCount {
    type Err = String;

    fn from_str(text: &str) -> Result<FlowCount, String> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k') => (&text[..text.len() - 1], 1_000),
            Some(b'M') => (&text[..text.len() - 1], 1_000_000),
            _ => (text, 1),
        };
        let flows = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
        match flows {
            Some(flows) if (64..=FLOWS_MAX).contains(&flows) => {
                Ok(FlowCount { label: text.to_owned(), flows })
            }
            _ => Err(format!("a number from 64 to {FLOWS_MAX}, as 64k or 1M")),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (runs, slice_ms) = if arguments.quick { (5, 400) } else { (arguments.runs, arguments.slice_ms) };
    let cpus = machine::cpus();
    let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
    let worker_cpu = arguments.worker_cpu.unwrap_or(last);
    let control_cpu = if worker_cpu == first { last } else { first };
    let slice = Duration::from_millis(slice_ms);
    let plan = Plan { runs, slice, worker_cpu, worker_only: arguments.worker_only };
    ensure!(machine::pin_to(control_cpu), "this process may not run on processor {control_cpu}");

    let eal = Eal::init(&EalOptions { memory_mib: MEMORY_MIB, ..EalOptions::default() })?;
    print_conditions(&eal, &plan, control_cpu);
    let device = format!("net_null0,size={FRAME_LEN}").parse()?;
    let mut port = Port::open(&eal, &device, &PortConfig { mbufs: Some(MBUFS), ..PortConfig::default() })?;
    let queue = port.take_rx_queue(0).expect("nobody took it before");
    let mut source = StampedSource::new(queue, usize::from(arguments.descriptors));

    let mut figures = Figures::default();
    print_rx_head();
    for count in &arguments.flows {
        let measured;
        (source, measured) = rx::measure(&eal, source, count.flows, &plan)?;
        print_rx(&count.label, &measured);
        add_rx(&mut figures, &count.label, &measured);
    }
    if plan.worker_only {
        return Ok(());
    }
    // On the worker's core, with nothing else at work.
    machine::pin_to(worker_cpu);
    let encoded = encode::measure(runs, plan.slice);
    print_encode(&encoded);
    figures.add_spread("encode_spans_per_s", encoded.spans_per_s, "spans/s");
    figures.add("encode_bytes_per_span", encoded.bytes_per_span, "B");

    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&figures)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        println!("\nfigures: {}", path.display());
    }
    Ok(())
}

fn print_conditions(eal: &Eal, plan: &Plan, control_cpu: usize) {
    println!("processor   {}", machine::cpu_model());
    println!("build       {}", machine::build_flags());
    println!("DPDK        {}, buffers on {}", Eal::version(), eal.memory_mode());
    println!(
        "port        net_null, virtual: {FRAME_LEN} B without FCS, {MBUFS} buffers, stamped (bench/README.md)"
    );
    println!("threads     worker on processor {}, sweeps and this program on {control_cpu}", plan.worker_cpu);
    if plan.worker_cpu == control_cpu {
        println!("            one processor for both: the figures are those of a shared core");
    }
    println!(
        "runs        {} of {} ms each, alternating; median (min - max)\n",
        plan.runs,
        plan.slice.as_millis()
    );
}

fn print_rx_head() {
    println!(
        "{:>6}  {:>20}  {:>6}  {:>20}  {:>12}  {:>18}  {:>7}  {:>6}",
        "flows", "worker, Mpps", "ns", "ceiling, Mpps", "parsed, Mpps", "worker/ceiling", "10 GbE", "mark"
    );
}

fn print_rx(label: &str, rx: &RxFigures) {
    let spread = |s: bench::figures::Spread| format!("{:.2} ({:.2} - {:.2})", s.median, s.min, s.max);
    let mark = if rx.flows == MARK.0 {
        format!("{} {}", MARK.1, if rx.worker.median >= MARK.1 { "met" } else { "MISSED" })
    } else {
        String::new()
    };
    println!(
        "{label:>6}  {:>20}  {:>6.1}  {:>20}  {:>12.2}  {:>18}  {:>6.0}%  {mark:>6}",
        spread(rx.worker),
        1e3 / rx.worker.median,
        spread(rx.ceiling),
        rx.parsed.median,
        spread(rx.ratio),
        rx.worker.median / LINE_RATE_10G_MPPS * 100.0,
    );
    let [p999, p9999, max] = rx.service_ns;
    println!(
        "        opening a flow {:.0} ns; sweep {:.1} ms, {} records; burst service p99.9 {p999} ns, p99.99 {p9999} ns, max {max} ns",
        rx.open_ns, rx.sweep_ms.median, rx.records
    );
    if rx.waited.max > WAITED_MAX {
        println!(
            "        the worker waited {:.0}% of the time for its processor, {:.0}% in the worst run: \
             the machine is busy, trust the ratio alone",
            rx.waited.median * 100.0,
            rx.waited.max * 100.0
        );
    }
}

fn print_encode(encoded: &EncodeFigures) {
    let spans = encoded.spans_per_s;
    println!(
        "\nencoder (protobuf, batches of {}): {:.0} spans/s ({:.0} - {:.0}), {:.0} B a span",
        encode::BATCH,
        spans.median,
        spans.min,
        spans.max,
        encoded.bytes_per_span
    );
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds far below 2^52")]
fn add_rx(figures: &mut Figures, label: &str, rx: &RxFigures) {
    let name = format!("rx_64B_{label}_flows");
    figures.add_spread(&name, rx.worker, "Mpps");
    figures.add_spread(&format!("{name}_ceiling"), rx.ceiling, "Mpps");
    figures.add_spread(&format!("{name}_parsed"), rx.parsed, "Mpps");
    figures.add_spread(&format!("{name}_ratio"), rx.ratio, "ratio");
    figures.add(&format!("{name}_waited"), rx.waited.median, "ratio");
    if rx.flows == MARK.0 {
        let [_, p9999, max] = rx.service_ns.map(|ns| ns as f64 / 1e3);
        figures.add("burst_p9999_us", p9999, "us");
        figures.add("burst_max_us", max, "us");
        figures.add_spread("sweep_1M_ms", rx.sweep_ms, "ms");
    }
}
