//! A real port and a generator outside: offers rates, counts what the worker took, and looks for the non-drop rate.
//!
//! The generator is a command, run by `sh -c` for each trial with `{rate}` (packets a second) and `{seconds}` put in. It
//! returns when it has sent everything, and the last line it prints is the number of packets it sent.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use dataplane::clock::{Clock, UtcClock};
use dataplane::dpdk::{Eal, Port, PortConfig, PortStats};
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::{CountersWriter, WorkerCounters};
use dataplane::source::port::PortSource;
use dataplane::worker::Worker;
use flowtable::{MAX_BURST, PortId, Sweeper, Timeouts, table};

use crate::lane::SEED;
use crate::machine;
use crate::measure::Plan;
use crate::ndr::{self, NonDropRate, Search, Trial};
use crate::sink::Sink;

/// After the generator has returned, for what is still on its way.
const SETTLING: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// What to measure and with what.
#[derive(Clone, Debug)]
pub struct Bed {
    /// The device, as DPDK calls it.
    pub device: String,
    /// The command of the generator.
    pub generator: String,
    /// Flows the table holds.
    pub capacity: u32,
    /// What to look for.
    pub search: Search,
}

/// Looks for the non-drop rate of a worker on the port of `bed`, with sweeps and export at work beside it.
///
/// # Errors
/// Where the port is not to be had or the generator fails.
pub fn measure(eal: &Eal, plan: &Plan, bed: &Bed) -> anyhow::Result<NonDropRate> {
    let config = PortConfig { rx_descriptors: plan.descriptors, ..PortConfig::default() };
    let mut port = Port::open(eal, &bed.device.parse()?, &config)?;
    let queue = port.take_rx_queue(0).context("the port has no receive queue")?;
    let info = port.info();
    println!("port        {} ({}), {} descriptors", info.device, info.driver, info.rx_descriptors);
    println!(
        "trials      {} s, {} s to narrow the range\n",
        bed.search.trial.as_secs_f64(),
        bed.search.short_trial.as_secs_f64()
    );
    let (writer, mut sweeper) = table(&plan.table(bed.capacity))?;
    let (counters, figures) = CountersWriter::new();
    let source = PortSource::new(queue, PortId(0), u16::try_from(MAX_BURST)?);
    let intake = Intake::new(&IntakeOptions::default(), SEED);
    let mut worker = Worker { sources: vec![source], writer, counters, intake };
    let clock = UtcClock::start();
    let (stop, swept) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (clock, stop, swept) = (&clock, &stop, &swept);
        let polling = scope.spawn(move || -> anyhow::Result<()> {
            machine::pin_to(plan.worker_cpu);
            let _registered = eal.register_worker_thread()?;
            worker.run(clock, stop);
            Ok(())
        });
        let mut sink = Sink::start()?;
        let sweeping = scope.spawn(move || sweep(&mut sweeper, clock, swept, &mut sink));
        let found =
            ndr::search(&bed.search, |pps, length| trial(&port, &figures, &bed.generator, pps, length));
        stop.store(true, Ordering::Relaxed);
        swept.store(true, Ordering::Relaxed);
        polling.join().expect("the worker does not panic")?;
        sweeping.join().expect("the sweep does not panic");
        found
    })
}

fn sweep(sweeper: &mut Sweeper, clock: &UtcClock, stop: &AtomicBool, sink: &mut Sink) {
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SWEEP_EVERY);
        sweeper.sweep(clock.now(), &Timeouts::default(), sink);
        sink.flush();
    }
}

fn trial(
    port: &Port,
    figures: &Arc<WorkerCounters>,
    generator: &str,
    pps: f64,
    length: Duration,
) -> anyhow::Result<Trial> {
    let (before, dropped) = (figures.read(), lost(&port.stats().unwrap_or_default()));
    let sent = generate(generator, pps, length)?;
    std::thread::sleep(SETTLING);
    let after = figures.read();
    ensure!(after.is_balanced(), "the worker's books are not balanced: {after:?}");
    let missed = lost(&port.stats().unwrap_or_default()) - dropped;
    let trial = Trial { sent, received: after.packets - before.packets, missed };
    println!(
        "{:>10.4} Mpps for {:>5.1} s: sent {sent}, counted {}, missed {missed}{}",
        pps / 1e6,
        length.as_secs_f64(),
        trial.received,
        if trial.is_lossless() { "" } else { "  LOSS" }
    );
    Ok(trial)
}

fn lost(stats: &PortStats) -> u64 {
    stats.rx_missed + stats.rx_no_buffer + stats.rx_errors
}

/// Runs the generator. Gives the packets it sent.
fn generate(command: &str, pps: f64, length: Duration) -> anyhow::Result<u64> {
    let command = command
        .replace("{rate}", &format!("{pps:.0}"))
        .replace("{seconds}", &length.as_secs_f64().to_string());
    let output = Command::new("sh")
        .args(["-c", &command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the generator")?;
    ensure!(output.status.success(), "the generator ended with {}: {command}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    last.trim().parse().with_context(|| {
        format!("the generator's last line is to be the number of packets it sent, not {last:?}: {command}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_told_the_rate_and_tells_what_it_sent() {
        let second = Duration::from_secs(1);
        assert_eq!(generate("echo sending; echo $(({rate} * {seconds}))", 1234.4, second).unwrap(), 1_234);
        for bad in ["echo nothing", "exit 3", "true"] {
            assert!(generate(bad, 1.0, second).is_err(), "{bad}");
        }
    }
}
