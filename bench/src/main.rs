//! `dataplane-bench`: measures the rows of [`bench::scenarios`] and prints them beside their marks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use bench::figures::Figures;
use bench::measure::{
    self, Lab, NotMeasured, Plan, away, churn, export, limits, memory, peers, replay, ring, rivals, rx,
    sweep, tcp_cost, two_workers,
};
use bench::ndr::Search;
use bench::nic::{self, Bed};
use bench::report::{self, Reasons};
use bench::scenarios::{Choice, Measure, SCENARIOS, Scenario, When};
use bench::{capacity, encode, machine, plot};
use clap::Parser;
use dataplane::clock::Stopwatch;
use dataplane::dpdk::{Eal, EalOptions};
use flowtable::Prefetching;

/// Memory asked of DPDK: the buffers of `net_null`, of two queues beside it, and of `net_ring`, 2.4 kB each.
const MEMORY_MIB: u32 = 128;
/// Share of its time a worker may wait for its processor before the figures are said to be of a busy machine.
const WAITED_MAX: f64 = 0.02;
/// Rounds and slice of `--quick`.
const QUICK: (u32, u64) = (5, 300);
/// Where large files go, where there is room: memory that looks like a folder.
const SHARED_MEMORY: &str = "/dev/shm";

/// Measures tapspan: packets a second of a worker core, spans a second of the encoder, and what stands beside them.
#[derive(Debug, Parser)]
struct Arguments {
    /// The rx rows up to 4 M flows and the encoder, in less than a minute.
    #[arg(long, conflicts_with_all = ["runs", "slice_ms", "only", "peers"])]
    quick: bool,
    /// Rows by name, or by how their names begin.
    #[arg(long, value_delimiter = ',', value_name = "NAME[,NAME]")]
    only: Vec<String>,
    /// The names of all rows, and what they are.
    #[arg(long)]
    list: bool,
    /// Also compares with softflowd, nfpcapd and argus.
    #[arg(long)]
    peers: bool,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Length of a measurement in ms.
    #[arg(long, default_value_t = 1_000, value_name = "MS")]
    slice_ms: u64,
    /// Processor of the worker; the last one by default. The other work goes to the first one.
    #[arg(long, value_name = "CPU")]
    worker_cpu: Option<usize>,
    /// Measures the worker alone, for a profiler to look at.
    #[arg(long, requires = "only", conflicts_with = "json")]
    worker_only: bool,
    /// Buffers going round, as the descriptors of a receive ring.
    #[arg(long, default_value_t = 4_096)]
    descriptors: u16,
    /// How large tables ask memory for their lines: eights, bursts or bursts-twice. As the probe does on this processor by default.
    #[arg(long, value_name = "HOW", default_value = Prefetching::here().name())]
    prefetching: Prefetching,
    /// Where the list of figures goes.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the plot goes.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Where the tables of bench/CAPACITY.md go, worked out from the figures.
    #[arg(long, value_name = "FILE")]
    capacity_tables: Option<PathBuf>,
    /// Folder for captures and spans; shared memory by default.
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    nic: NicArguments,
}

/// A real port with a generator outside.
#[derive(Debug, clap::Args)]
struct NicArguments {
    /// Looks for the non-drop rate of this port instead, such as 0000:03:00.0.
    #[arg(long, value_name = "DEVICE", requires = "generator_command", conflicts_with_all = ["quick", "only", "peers", "json", "plot"])]
    port: Option<String>,
    /// Command that sends at {rate} packets a second for {seconds}, returns then, and prints last how many it sent.
    #[arg(long, value_name = "COMMAND", requires = "port")]
    generator_command: Option<String>,
    /// Length of the trials that decide, in seconds.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    trial_seconds: f64,
    /// Highest rate to offer, in packets a second: that of the line. 14.88 M is 10 GbE at 64 B.
    #[arg(long, default_value_t = 14_880_952.0, value_name = "PPS")]
    max_rate: f64,
    /// Lowest rate of interest, in packets a second.
    #[arg(long, default_value_t = 10_000.0, value_name = "PPS")]
    min_rate: f64,
    /// How close the bounds have to be, as a share of the rate.
    #[arg(long, default_value_t = 0.005, value_name = "SHARE")]
    precision: f64,
    /// Flows the table holds.
    #[arg(long, default_value_t = 1_000_000, value_name = "FLOWS")]
    table_flows: u32,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        for row in SCENARIOS {
            println!("{:<26} {:<12} {}", row.name, row.unit, row.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let choice = Choice {
        when: match (arguments.quick, arguments.peers) {
            (true, _) => When::Quick,
            (false, true) => When::Peers,
            (false, false) => When::Default,
        },
        only: arguments.only.clone(),
    };
    ensure!(
        choice.unknown().is_empty(),
        "no row is called {}; --list names them",
        choice.unknown().join(", ")
    );
    let cpus = machine::cpus();
    let plan = plan(&arguments, &cpus);
    ensure!(machine::pin_to(plan.control_cpu), "this process may not run on processor {}", plan.control_cpu);
    if let (Some(device), Some(generator)) = (&arguments.nic.port, &arguments.nic.generator_command) {
        return non_drop_rate(&plan, &arguments.nic, device, generator);
    }
    let eal = Eal::init(&EalOptions { memory_mib: MEMORY_MIB, ..EalOptions::default() })?;
    print_conditions(&eal, &plan);
    let scratch = arguments.scratch.clone().unwrap_or_else(scratch);
    let mut lab = Lab::open(&eal, plan, cpus, scratch)?;
    let reasons = run(&mut lab, &choice)?;
    lab.figures.add("waited_max", lab.waited, "ratio");
    print_results(&lab, &choice, &reasons);
    write_results(&arguments, &lab.figures)?;
    Ok(ExitCode::SUCCESS)
}

fn plan(arguments: &Arguments, cpus: &[usize]) -> Plan {
    let (runs, slice_ms) = if arguments.quick { QUICK } else { (arguments.runs, arguments.slice_ms) };
    let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
    let worker_cpu = arguments.worker_cpu.unwrap_or(last);
    Plan {
        runs,
        slice: Duration::from_millis(slice_ms),
        worker_cpu,
        control_cpu: if worker_cpu == first { last } else { first },
        worker_only: arguments.worker_only,
        descriptors: arguments.descriptors,
        prefetching: arguments.prefetching,
    }
}

fn scratch() -> PathBuf {
    let shared = Path::new(SHARED_MEMORY);
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

/// Measures what is wanted, each family once. Gives why rows were not measured.
fn run(lab: &mut Lab<'_>, choice: &Choice) -> anyhow::Result<Reasons> {
    let wanted: Vec<&Scenario> = SCENARIOS.iter().filter(|row| choice.wants(row)).collect();
    let mut families: Vec<Measure> = Vec::new();
    for row in &wanted {
        if !families.contains(&row.by) {
            families.push(row.by);
        }
    }
    let mut reasons = Reasons::new();
    let watch = Stopwatch::start();
    for (at, family) in families.iter().enumerate() {
        let rows = wanted.iter().filter(|row| row.by == *family);
        let names: Vec<&str> = rows.clone().map(|row| row.name).collect();
        let seconds = watch.elapsed_ns() / 1_000_000_000;
        println!("[{:>2}/{} {seconds:>4} s] {}", at + 1, families.len(), names.join(", "));
        let reason = measure_one(lab, *family).with_context(|| format!("measuring {}", names.join(", ")))?;
        if let Some(reason) = reason {
            println!("  not measured: {reason}");
            reasons.extend(rows.map(|row| (row.name, reason.clone())));
        }
    }
    println!("[{} s]\n", watch.elapsed_ns() / 1_000_000_000);
    Ok(reasons)
}

fn measure_one(lab: &mut Lab<'_>, by: Measure) -> anyhow::Result<NotMeasured> {
    match by {
        Measure::Rx(family) => rx::measure(lab, &family),
        Measure::Churn(rate) => churn::measure(lab, &rate),
        Measure::Allocations(rate) => churn::allocations(lab, &rate),
        Measure::SynFlood => rivals::syn_flood(lab),
        Measure::Collisions => rivals::collisions(lab),
        Measure::TwoWorkers => two_workers::measure(lab),
        Measure::TcpCost => tcp_cost::measure(lab),
        Measure::Away => away::measure(lab),
        Measure::Sweep => sweep::measure(lab),
        Measure::Limits => limits::measure(lab),
        Measure::Memory => memory::measure(lab),
        Measure::Ring => ring::measure(lab),
        Measure::Encode => Ok(encode_spans(lab)),
        Measure::Export => export::measure(lab),
        Measure::Replay => replay::measure(lab),
        Measure::Peer(peer) => peers::measure(lab, peer),
    }
}

/// On the worker's processor, with nothing else at work.
fn encode_spans(lab: &mut Lab<'_>) -> NotMeasured {
    machine::pin_to(lab.plan.worker_cpu);
    let encoded = encode::measure(lab.plan.runs, lab.plan.slice);
    machine::pin_to(lab.plan.control_cpu);
    lab.figures.add_spread("encode_spans_per_s", encoded.spans_per_s, "spans/s");
    lab.figures.add("encode_bytes_per_span", encoded.bytes_per_span, "B");
    None
}

fn non_drop_rate(
    plan: &Plan,
    arguments: &NicArguments,
    device: &str,
    generator: &str,
) -> anyhow::Result<ExitCode> {
    let trial = Duration::from_secs_f64(arguments.trial_seconds);
    let search = Search {
        max_pps: arguments.max_rate,
        min_pps: arguments.min_rate,
        precision: arguments.precision,
        trial,
        // As in MLRsearch: a thirtieth, but long enough for a generator to come up to speed.
        short_trial: (trial / 30).max(Duration::from_secs(1)).min(trial),
    };
    let bed = Bed {
        device: device.to_owned(),
        generator: generator.to_owned(),
        capacity: arguments.table_flows,
        search,
    };
    let options =
        EalOptions { devices: vec![device.parse()?], memory_mib: MEMORY_MIB, ..EalOptions::default() };
    let eal = Eal::init(&options)?;
    println!("DPDK        {}, buffers on {}", Eal::version(), eal.memory_mode());
    let found = nic::measure(&eal, plan, &bed)?;
    println!();
    match (found.lossless_pps, found.lossy_pps) {
        (Some(low), None) => {
            println!("non-drop rate: {:.4} Mpps, the highest offered, {} trials", low / 1e6, found.trials);
        }
        (Some(low), Some(high)) => println!(
            "non-drop rate: {:.4} Mpps without loss in {} s; {:.4} Mpps lost packets; {} trials",
            low / 1e6,
            arguments.trial_seconds,
            high / 1e6,
            found.trials
        ),
        (None, _) => println!("packets are lost at {:.4} Mpps already", search.min_pps / 1e6),
    }
    Ok(if found.lossless_pps.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_conditions(eal: &Eal, plan: &Plan) {
    println!("processor   {}", machine::cpu_model());
    println!("build       {}", machine::build_flags());
    println!("DPDK        {}, buffers on {}", Eal::version(), eal.memory_mode());
    println!(
        "port        net_null, VIRTUAL: {} buffers, stamped (bench/README.md); no figure here is a rate of a network card",
        measure::MBUFS
    );
    println!(
        "threads     worker on processor {}, sweeps and export on {}",
        plan.worker_cpu, plan.control_cpu
    );
    if plan.worker_cpu == plan.control_cpu {
        println!("            one processor for both: the figures are those of a shared core");
    }
    println!("prefetches  {}, where a table is large", plan.prefetching.name());
    println!("runs        {} of {} ms, in turn; median (min - max)\n", plan.runs, plan.slice.as_millis());
}

fn print_results(lab: &Lab<'_>, choice: &Choice, reasons: &Reasons) {
    let figures = &lab.figures;
    let rows = SCENARIOS.iter().filter(|row| choice.only.is_empty() || choice.wants(row));
    println!("{}", report::table(rows, figures, reasons));
    println!("{}", report::line_rates(figures));
    if lab.waited > WAITED_MAX {
        println!(
            "a worker waited for its processor, up to {:.0}% of a turn: the machine is busy, trust ratios alone\n",
            lab.waited * 100.0
        );
    }
}

fn write_results(arguments: &Arguments, figures: &Figures) -> anyhow::Result<()> {
    let put = |path: &Path, text: String| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if let Some(path) = &arguments.json {
        put(path, serde_json::to_string_pretty(figures)? + "\n")?;
        println!("figures: {}", path.display());
    }
    let conditions = format!("{}, {}", machine::cpu_model(), machine::build_flags());
    if let (Some(path), Some(svg)) = (&arguments.plot, plot::svg(figures, &conditions)) {
        put(path, svg)?;
        println!("plot: {}", path.display());
    }
    if let (Some(path), Some(tables)) = (&arguments.capacity_tables, capacity::tables(figures)) {
        put(path, tables)?;
        println!("capacity: {}", path.display());
    }
    Ok(())
}
