//! Other programs that make flows of a capture, on the same file, in turn with `tapspan replay`, each on one processor.

use std::net::UdpSocket;
use std::path::Path;

use anyhow::Context;
use tapspan::export::FileFormat;

use super::replay::{self, Scratch};
use super::{Lab, NotMeasured};
use crate::capture;
use crate::figures::Spread;

/// Another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// softflowd: `NetFlow` v9 to a socket that nobody reads.
    Softflowd,
    /// nfpcapd of nfdump: files of its own format.
    Nfpcapd,
    /// argus: a file of its own format.
    Argus,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Softflowd => "softflowd",
            Peer::Nfpcapd => "nfpcapd",
            Peer::Argus => "argus",
        }
    }

    /// The Debian packages it takes to run it and to count its flows.
    fn packages(self) -> &'static str {
        match self {
            Peer::Softflowd => "softflowd",
            Peer::Nfpcapd => "nfdump",
            Peer::Argus => "argus-server argus-client",
        }
    }

    fn command(self, scratch: &Scratch, collector: &UdpSocket) -> anyhow::Result<Vec<String>> {
        let capture = scratch.capture().display().to_string();
        let out = self.out(scratch);
        let words = match self {
            Peer::Softflowd => {
                let collector = collector.local_addr()?.to_string();
                // The table as large as tapspan's; no control socket.
                format!("softflowd -d -r {capture} -v 9 -n {collector} -m 1000000 -c none -p {out}.pid")
            }
            Peer::Nfpcapd => format!("nfpcapd -r {capture} -w {out}"),
            Peer::Argus => format!("argus -X -r {capture} -w {out}"),
        };
        Ok(words.split(' ').map(str::to_owned).collect())
    }

    fn out(self, scratch: &Scratch) -> String {
        scratch.path(self.name()).display().to_string()
    }

    /// Flows it told of, both directions of a connection counting as one, where that can be found out.
    fn flows(self, scratch: &Scratch, ran: &replay::Ran, cpus: &[usize]) -> Option<f64> {
        let out = self.out(scratch);
        let count = |command: &[&str]| {
            let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
            replay::run(&command, cpus).ok().map(|ran| ran.output)
        };
        match self {
            // Told at its end: "Flows expired: N".
            Peer::Softflowd => number_after(&ran.output, "Flows expired:"),
            // Flows of one direction each; "Total flows: N" or "Flows: N".
            Peer::Nfpcapd => {
                number_after(&count(&["nfdump", "-q", "-R", &out, "-I"])?, "Flows:").map(|flows| flows / 2.0)
            }
            // Told in a table of its records: "tcp" and the number of flows.
            Peer::Argus => {
                let told = count(&["racount", "-X", "-r", &out, "-M", "proto"])?;
                let sum = told.lines().find(|line| line.trim_start().starts_with("sum"))?;
                sum.split_whitespace().nth(1)?.parse().ok()
            }
        }
    }

    /// Takes away what a run left behind, so that the next one does the same.
    fn tidy(self, scratch: &Scratch) -> anyhow::Result<()> {
        let out = self.out(scratch);
        let path = Path::new(&out);
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
        if self == Peer::Nfpcapd {
            std::fs::create_dir(path)?;
        }
        Ok(())
    }
}

/// Measures tapspan and `peer` in turn; the figure is how many times as long the other takes. tapspan writes protobuf, and in
/// another turn JSON, which stands beside it: what the others write is binary too.
///
/// # Errors
/// Where either fails.
pub fn measure(lab: &mut Lab<'_>, peer: Peer) -> anyhow::Result<NotMeasured> {
    if !is_installed(peer.name()) {
        return Ok(Some(format!("not installed: apt-get install {}", peer.packages())));
    }
    let scratch = Scratch::with_capture(&lab.scratch)?;
    let collector = UdpSocket::bind("127.0.0.1:0").context("no socket for softflowd")?;
    let protobuf = replay::tapspan(&scratch, FileFormat::Protobuf)?;
    let json = replay::tapspan(&scratch, FileFormat::Json)?;
    let theirs = peer.command(&scratch, &collector)?;
    let cpu = [lab.plan.worker_cpu];
    let mut rounds = Vec::new();
    let mut flows = None;
    // The first round fills the page cache and is not counted.
    for round in 0..=lab.plan.runs {
        let own = [protobuf.run(&cpu)?, json.run(&cpu)?];
        own.iter().try_for_each(|ran| replay::spans_of(ran).map(drop))?;
        peer.tidy(&scratch)?;
        let other = replay::run(&theirs, &cpu)?;
        flows = peer.flows(&scratch, &other, &lab.cpus);
        if round > 0 {
            rounds.push([own[0].seconds, own[1].seconds, other.seconds]);
        }
    }
    let name = peer.name();
    let mpps = |which: usize| {
        Spread::of(rounds.iter().map(|round| f64::from(capture::PACKETS) / round[which] / 1e6))
    };
    let ratio = |which: usize| Spread::of(rounds.iter().map(|round| round[2] / round[which]));
    lab.figures.add_spread(&format!("peer_{name}_mpps"), mpps(2), "Mpps");
    for (which, written) in ["", "json_"].into_iter().enumerate() {
        lab.figures.add_spread(&format!("peer_{name}_tapspan_{written}mpps"), mpps(which), "Mpps");
        lab.figures.add_spread(&format!("peer_{name}_{written}ratio"), ratio(which), "ratio");
    }
    match flows {
        Some(flows) => {
            println!(
                "  {name}: {flows:.0} flows, tapspan {} of {} packets",
                capture::FLOWS,
                capture::PACKETS
            );
            lab.figures.add(&format!("peer_{name}_flows"), flows, "flows");
        }
        None => println!("  {name}: its flows could not be counted"),
    }
    Ok(None)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// The number after `word` in `text`.
fn number_after(text: &str, word: &str) -> Option<f64> {
    let after = &text[text.find(word)? + word.len()..];
    let digits: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_off_what_programs_print() {
        assert_eq!(number_after("Flows expired: 200000 (0 forced)", "Flows expired:"), Some(2e5));
        assert_eq!(number_after("nothing", "Flows:"), None);
    }
}
