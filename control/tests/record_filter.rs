//! The record filter and the sample behind the program itself: what is left out is in the ledger, and nothing else is missing.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a replay of three small captures with `settings` came to.
struct Replay {
    spans: Vec<Value>,
    report: String,
}

fn replay(settings: &[&str]) -> Replay {
    let folder = tempfile::tempdir().unwrap();
    let spans = folder.path().join("spans.jsonl");
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures/community-id");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapspan"));
    command.arg("replay").args(["tcp.pcap", "udp.pcap", "icmp.pcap"].map(|file| captures.join(file)));
    command.arg("--export").arg(format!("file:{}", spans.display()));
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.contains("ledger balanced"), "{report}");
    let text = std::fs::read_to_string(&spans).unwrap();
    let requests = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let spans = requests.flat_map(|request| {
        request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
    });
    Replay { spans: spans.collect(), report }
}

impl Replay {
    /// The figure behind `name` in the printed ledger; 0 where it has no such row.
    fn booked(&self, name: &str) -> usize {
        let row = self.report.lines().find_map(|line| line.trim().strip_prefix(name));
        row.map_or(0, |figure| figure.trim().parse().unwrap())
    }

    fn values(&self, key: &str) -> Vec<String> {
        let of = |span: &Value| {
            let pair = span["attributes"].as_array().unwrap().iter().find(|pair| pair["key"] == key)?.clone();
            let value = &pair["value"];
            value["stringValue"].as_str().or(value["intValue"].as_str()).map(str::to_owned)
        };
        self.spans.iter().filter_map(of).collect()
    }
}

#[test]
fn records_that_do_not_meet_the_conditions_are_counted_and_not_exported() {
    let all = replay(&[]);
    let transports = all.values("network.transport");
    assert!(["tcp", "udp", "icmp"].iter().all(|one| transports.iter().any(|other| other == one)));
    assert_eq!((all.booked("records cut"), all.booked("filtered")), (all.spans.len(), 0));
    let udp = replay(&["filter.record.transports=udp"]);
    assert_eq!(
        udp.values("network.transport").into_iter().collect::<BTreeSet<_>>(),
        ["udp".to_owned()].into()
    );
    assert_eq!(udp.booked("records cut"), all.spans.len());
    assert_eq!(udp.booked("filtered") + udp.spans.len(), all.spans.len());
}

#[test]
fn a_sample_is_the_same_flows_at_every_replay_whatever_the_seed_and_spans_say_its_rate() {
    let all = replay(&["flow.seed=1"]);
    assert!(all.values("flow.sampling.rate").is_empty());
    let (one, other) = (replay(&["filter.sample=2"]), replay(&["filter.sample=2", "flow.seed=7"]));
    let flows = |replay: &Replay| replay.values("flow.community_id").into_iter().collect::<BTreeSet<_>>();
    assert_eq!(flows(&one), flows(&other));
    assert!(flows(&one).is_subset(&flows(&all)));
    assert_eq!(one.booked("sampled out") + one.spans.len(), all.spans.len());
    assert!(one.booked("sampled out") > 0, "{}", one.report);
    assert_eq!(one.values("flow.sampling.rate"), vec!["2"; one.spans.len()]);
}

#[test]
fn attributes_are_left_out_by_setting() {
    let short = replay(&["span.exclude=flow.ip.*,flow.tcp.flags.*", "span.events=off"]);
    assert!(short.values("flow.ip.ttl").is_empty() && !short.values("flow.community_id").is_empty());
    assert!(short.spans.iter().all(|span| span["events"].is_null()));
}
