//! `tapspan replay` of a capture as a program of its own, from its start to its end, spans written to a file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use dataplane::clock::Stopwatch;
use tapspan::export::FileFormat;

use super::{Lab, NotMeasured};
use crate::capture;
use crate::figures::Spread;

/// Files that are there for as long as this lives.
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// A folder in `parent` with a capture, which is in the page cache then.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn with_capture(parent: &Path) -> anyhow::Result<Scratch> {
        let folder = tempfile::Builder::new()
            .prefix("tapspan-bench-")
            .tempdir_in(parent)
            .with_context(|| format!("no folder in {}", parent.display()))?;
        let scratch = Scratch { folder };
        println!("  writing {} packets of {} flows", capture::PACKETS, capture::FLOWS);
        capture::write(&scratch.capture()).context("cannot write the capture")?;
        Ok(scratch)
    }

    /// The capture.
    pub fn capture(&self) -> PathBuf {
        self.path("capture.pcap")
    }

    /// A file or folder called `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What a program came to.
#[derive(Clone, Debug)]
pub struct Ran {
    /// From its start to its end.
    pub seconds: f64,
    /// What it printed, both ways.
    pub output: String,
}

/// Runs `command` to its end, on `cpus` whatever this thread keeps to.
///
/// # Errors
/// Where it is not there or fails.
pub fn run(command: &[String], cpus: &[usize]) -> anyhow::Result<Ran> {
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    let pinned = ["taskset".to_owned(), "-c".to_owned(), list.join(",")];
    let words: Vec<&String> = pinned.iter().chain(command).collect();
    let (program, arguments) = words.split_first().context("an empty command")?;
    let watch = Stopwatch::start();
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    #[expect(clippy::cast_precision_loss, reason = "ns, far below 2^52")]
    let seconds = watch.elapsed_ns() as f64 / 1e9;
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "{} ended with {}: {text}", command.join(" "), output.status);
    Ok(Ran { seconds, output: text })
}

/// `tapspan replay` of a capture, spans to a file beside it.
pub struct Replay {
    command: Vec<String>,
    spans: PathBuf,
}

impl Replay {
    /// Runs it on `cpus`. What the run before wrote is taken away first, so that to give it back is no part of this one.
    ///
    /// # Errors
    /// Where it fails.
    pub fn run(&self, cpus: &[usize]) -> anyhow::Result<Ran> {
        if self.spans.exists() {
            std::fs::remove_file(&self.spans)?;
        }
        run(&self.command, cpus)
    }
}

/// Replays the capture of `scratch` with spans in `format`.
///
/// # Errors
/// Where the program is not beside this one, or its settings cannot be written.
pub fn tapspan(scratch: &Scratch, format: FileFormat) -> anyhow::Result<Replay> {
    let beside = std::env::current_exe()?.with_file_name("tapspan");
    ensure!(beside.exists(), "{} is missing: cargo build --release -p tapspan", beside.display());
    let name = match format {
        FileFormat::Json => "json",
        FileFormat::Protobuf => "protobuf",
    };
    let spans = scratch.path(&format!("spans.{name}"));
    let url = format!("file:{}", spans.display());
    let settings = scratch.path(&format!("{name}.toml"));
    // Text in Rust is text in TOML.
    std::fs::write(&settings, format!("[[export.destination]]\nurl = {url:?}\nformat = {name:?}\n"))?;
    let paths = [beside, settings, scratch.capture()].map(|path| path.display().to_string());
    let [program, settings, capture] = &paths;
    let words = [program, "replay", "--config", settings, "--log", "error", capture];
    Ok(Replay { command: words.map(str::to_owned).to_vec(), spans })
}

/// The number before `word` in `text`.
pub fn number_before(text: &str, word: &str) -> Option<f64> {
    let before = &text[..text.find(word)?];
    before.split_whitespace().last()?.parse().ok()
}

/// Checks that the program read all packets and delivered all spans, and gives the number of these.
///
/// # Errors
/// Where it did not.
pub fn spans_of(ran: &Ran) -> anyhow::Result<f64> {
    let number =
        |word| number_before(&ran.output, word).with_context(|| format!("no {word:?} in: {}", ran.output));
    ensure!(number(" packets,")? == f64::from(capture::PACKETS), "not all packets were read: {}", ran.output);
    ensure!(number(" flows,")? == f64::from(capture::FLOWS), "not all flows were found: {}", ran.output);
    number(" spans delivered")
}

/// Measures the program on all processors this one may use, with spans in either format in turn.
///
/// # Errors
/// Where it fails, or loses packets or spans.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let scratch = Scratch::with_capture(&lab.scratch)?;
    let replays = [tapspan(&scratch, FileFormat::Json)?, tapspan(&scratch, FileFormat::Protobuf)?];
    let mut mpps = [const { Vec::new() }; 2];
    let mut spans = 0.0;
    // In the first round the file system takes its pages, and the program's own are read.
    for round in 0..=lab.plan.runs {
        for (replay, mpps) in replays.iter().zip(&mut mpps) {
            let ran = replay.run(&lab.cpus)?;
            spans = spans_of(&ran)?;
            if round > 0 {
                mpps.push(f64::from(capture::PACKETS) / ran.seconds / 1e6);
            }
        }
    }
    let [json, protobuf] = mpps.map(Spread::of);
    lab.figures.add_spread("replay_mpps", json, "Mpps");
    lab.figures.add_spread("replay_protobuf_mpps", protobuf, "Mpps");
    lab.figures.add("replay_spans", spans, "spans");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_off_the_summary() {
        let text = "4000000 packets, 200000 flows, 200000 records, 200000 spans delivered in 1.234 s";
        assert_eq!(number_before(text, " packets,"), Some(4e6));
        assert_eq!(number_before(text, " spans delivered"), Some(2e5));
        assert_eq!(number_before(text, " octets"), None);
    }
}
