//! `tapspan replay`: capture files through the same parser and table as live packets, on the capture's own clock.
//!
//! One thread drives Writer and Sweeper in turn and waits for the exporter where that is slower, so the same files give
//! the same bytes and nothing is dropped.

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::time::Duration;

use dataplane::clock::Stopwatch;
use dataplane::intake::Intake;
use dataplane::ledger::{CountersWriter, WorkerCounters};
use dataplane::reason::Reason;
use dataplane::source::capture::CaptureReader;
use flowtable::{Nanos, Pages, PortId, Sweeper, TableStats, Timeouts, Writer, duration_ns, table};

use super::merge::{Merge, MergedFrame};
use super::outlet::{Outlet, RecordBooks, WhenFull};
use super::{AppError, intake, random, report, spans};
use crate::cli::ReplayArgs;
use crate::config::Settings;
use crate::export::{Exporter, FinalLedger};
use crate::http::model::{Ledger, NicLedger};
use crate::span::Interface;

/// Frames between two looks at the clock for the progress line.
const FRAMES_PER_PROGRESS: u64 = 1 << 16;
const PROGRESS_NS: u64 = 200_000_000;
/// Retirements served after a sweep; there is no worker to be held up.
const RETIREMENTS: usize = usize::MAX;
/// The one worker of a replay.
const WORKER: u16 = 0;
const NS_PER_SECOND: f64 = 1e9;

/// Replays the files and reports. The exit code is 1 where a file could not be read to its end, the table was full, or
/// spans did not arrive.
pub(super) fn run(args: &ReplayArgs, settings: &Settings) -> Result<ExitCode, AppError> {
    let watch = Stopwatch::start();
    let mut problems = Vec::new();
    let mut readers = Vec::with_capacity(args.files.len());
    let mut interfaces = Vec::with_capacity(args.files.len());
    for file in &args.files {
        match CaptureReader::open(file) {
            Ok(reader) => {
                let name =
                    file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                interfaces.push(Interface { name, index: None });
                readers.push(reader);
            }
            Err(fault) => problems.push(fault.to_string()),
        }
    }
    let seed = settings.flow.seed.for_replay(random);
    let spans = spans::span_settings(settings, interfaces, "replay", seed)?;
    let destinations: Vec<_> = spans::destinations(&settings.export, "stdout")?
        .into_iter()
        .map(crate::export::ExportSettings::for_replay)
        .collect();
    let stdout_has_spans = spans::uses_stdout(&destinations);
    let exporter = spans::start_exporter(&destinations, spans)?;
    let (done, faults) = {
        let mut replay = Replay::new(settings, seed, &exporter)?;
        let mut merge = Merge::new(readers);
        replay.all(&mut merge);
        (replay.finish(), merge.into_faults())
    };
    // Each destination that does not answer is given up by itself, so the end comes.
    let delivered = exporter.shutdown(Duration::MAX);
    problems.extend(faults.iter().map(ToString::to_string));
    problems.extend(done.problems(&delivered));
    report::print(&done.summary(watch.elapsed_ns(), &delivered), stdout_has_spans);
    for problem in &problems {
        eprintln!("tapspan: {problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A replay under way.
struct Replay {
    writer: Writer,
    sweeper: Sweeper,
    intake: Intake,
    counters: CountersWriter,
    figures: std::sync::Arc<WorkerCounters>,
    outlet: Outlet,
    timeouts: Timeouts,
    interval_ns: u64,
    /// The latest time seen; the capture's clock.
    now: Nanos,
    next_sweep: Nanos,
    progress: Progress,
}

/// What a replay came to.
struct Done {
    figures: std::sync::Arc<WorkerCounters>,
    table: TableStats,
    books: RecordBooks,
}

impl Replay {
    fn new(settings: &Settings, seed: u64, exporter: &Exporter) -> Result<Replay, AppError> {
        // No packet waits, and a table for a million flows takes longer to touch than most captures to read.
        let (writer, sweeper) = table(&intake::table_config(settings, seed, Pages::WhenUsed))?;
        let (counters, figures) = CountersWriter::new();
        let options = intake::options(settings, &[])?;
        Ok(Replay {
            writer,
            sweeper,
            intake: Intake::new(&options, seed),
            counters,
            figures,
            outlet: Outlet::new(exporter.handle(), settings.filter.records(), WhenFull::Wait),
            timeouts: settings.flow.timeouts(),
            interval_ns: duration_ns(settings.flow.sweep_interval).max(1),
            now: Nanos(0),
            next_sweep: Nanos(0),
            progress: Progress::new(),
        })
    }

    fn all(&mut self, merge: &mut Merge) {
        let mut frames = 0u64;
        while let Some(frame) = merge.next() {
            self.frame(&frame);
            frames += 1;
            if frames.is_multiple_of(FRAMES_PER_PROGRESS) {
                self.progress.show(frames, merge.progress());
            }
        }
        self.progress.clear();
    }

    #[inline]
    fn frame(&mut self, frame: &MergedFrame<'_>) {
        if frame.at >= self.next_sweep {
            self.tick(frame.at);
        }
        self.now = self.now.max(frame.at);
        #[expect(clippy::cast_possible_truncation, reason = "the command line holds fewer files")]
        let port = PortId(frame.file as u16);
        self.intake.take(frame.link, frame.data, frame.wire_len, frame.at, port);
        if self.intake.is_full() {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.intake.commit(&mut self.writer, &mut self.counters);
        self.drain_handovers();
    }

    fn drain_handovers(&mut self) {
        if self.sweeper.has_handovers() {
            let now = self.now;
            self.sweeper.drain_handovers(&mut self.outlet.of(WORKER, now));
        }
    }

    /// Sweeps at the last multiple of the interval up to `at`: what happened in a silence between does not depend on
    /// when in it one looks.
    fn tick(&mut self, at: Nanos) {
        self.commit();
        let tick = at.0 - at.0 % self.interval_ns;
        // Bounded by the fragments remembered.
        while self.intake.expire(Nanos(tick), &mut self.writer, &mut self.counters) {}
        self.drain_handovers();
        self.sweeper.sweep(Nanos(tick), &self.timeouts, &mut self.outlet.of(WORKER, Nanos(tick)));
        self.writer.serve_retirements(RETIREMENTS);
        self.next_sweep = Nanos(tick.saturating_add(self.interval_ns));
    }

    fn finish(mut self) -> Done {
        self.intake.finish(&mut self.writer, &mut self.counters);
        self.drain_handovers();
        let mut sink = self.outlet.of(WORKER, self.now);
        self.sweeper.sweep(self.now, &self.timeouts, &mut sink);
        self.sweeper.flush(self.now, &mut sink);
        self.outlet.finish();
        Done { figures: self.figures, table: self.writer.stats(), books: self.outlet.books() }
    }
}

impl Done {
    fn ledger(&self) -> Ledger {
        report::ledger(&self.figures.read(), NicLedger::default(), self.books.read())
    }

    /// One line for each thing that was not as it should be.
    fn problems(&self, delivered: &FinalLedger) -> Vec<String> {
        let mut problems = Vec::new();
        let uncounted = self.figures.read().not_in_flows[Reason::TableFull.index()];
        if self.table.evicted + uncounted > 0 {
            problems.push(format!(
                "the flow table was full: {} flows ended early (lack_of_resources), {uncounted} packets in no flow; \
                 give it more room with --capacity, above {}",
                self.table.evicted, self.table.capacity
            ));
        }
        if self.table.details_missing > 0 {
            problems.push(format!(
                "{} times a flow wanted a block of details when none was free, so spans lack tunnels, lost segments or events; \
                 raise flow.details",
                self.table.details_missing
            ));
        }
        for books in &delivered.destinations {
            if books.dropped.total() > 0 {
                let last =
                    books.last_error.as_ref().map_or(String::new(), |error| format!(": {}", error.text));
                problems.push(format!(
                    "{} of {} spans did not reach {}{last}; see that it runs and takes OTLP traces there",
                    books.dropped.total(),
                    books.records,
                    books.destination
                ));
            }
        }
        problems
    }

    fn summary(&self, ns: u64, delivered: &FinalLedger) -> String {
        let figures = self.figures.read();
        let spans: u64 = delivered.destinations.iter().map(|books| books.delivered).sum();
        let seconds = ns as f64 / NS_PER_SECOND;
        format!(
            "{} packets, {} flows, {} records, {spans} spans delivered in {seconds:.3} s, {:.0} packets/s\n{}",
            figures.packets,
            self.table.opened,
            self.books.read().0.cut,
            figures.packets as f64 / seconds,
            self.ledger()
        )
    }
}

/// One line on a terminal that says how far the replay is.
struct Progress {
    watch: Stopwatch,
    shown_ns: u64,
    wanted: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress { watch: Stopwatch::start(), shown_ns: 0, wanted: stderr().is_terminal() }
    }

    fn show(&mut self, frames: u64, (read, size): (u64, u64)) {
        let elapsed = self.watch.elapsed_ns();
        if !self.wanted || elapsed < self.shown_ns + PROGRESS_NS {
            return;
        }
        self.shown_ns = elapsed;
        let share = (read * 100).checked_div(size).unwrap_or(0);
        let rate = frames as f64 / (elapsed as f64 / NS_PER_SECOND);
        // A terminal that is gone ends the progress, not the replay.
        self.wanted = write!(stderr(), "\r{share:3} %  {frames} packets  {rate:.0} packets/s ").is_ok();
    }

    fn clear(&self) {
        if self.wanted && self.shown_ns > 0 {
            let _ = write!(stderr(), "\r{:60}\r", "");
        }
    }
}
