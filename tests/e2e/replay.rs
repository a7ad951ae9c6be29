//! Files replayed: what the spans say is what tshark counts, twice the same; what cannot be read is said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use flowtable::Prefetching;
use opentelemetry_proto::tonic::trace::v1::Status;

use super::support::{
    Capture, Counts, Finished, FlowSpan, Pcap, captures, ends, folder, json_requests, protobuf_requests,
    read_file, replay, repository, shared, spans_against_tshark, tapspan,
};

#[test]
fn spans_of_every_capture_are_what_tshark_counts_and_the_same_each_time() {
    of_every_capture(|capture| {
        let folder = folder();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let done = replayed(capture, &first, &[])?;
        if capture.is_refused() {
            let said = done.status.code() == Some(1) && done.stderr.contains("link type 127 (IEEE 802.11)");
            return if said { Ok(()) } else { Err(format!("not refused: {done:#?}")) };
        }
        if !done.status.success() || !done.complaints().is_empty() {
            return Err(format!("{done:#?}"));
        }
        replayed(capture, &second, &[])?;
        if fs::read(&first).unwrap() != fs::read(&second).unwrap() {
            return Err("gives other bytes the second time".into());
        }
        let spans = read_file(&first);
        hang_together(capture, &spans)?;
        spans_against_tshark(capture, &spans)
    });
}

/// What spans of one flow owe each other: each begins where the one before ended, the last one's totals are the sums of
/// what all say, and nothing takes longer than the flow, unless packets of other years are between its own.
fn hang_together(capture: &Capture, spans: &[FlowSpan]) -> Result<(), String> {
    let in_order = Pcap::read(&capture.path).is_none_or(|pcap| pcap.is_in_order());
    let mut flows = BTreeMap::<&[u8], Vec<&FlowSpan>>::new();
    spans.iter().for_each(|span| flows.entry(&span.trace_id).or_default().push(span));
    for records in flows.values_mut() {
        let octets =
            |span: &FlowSpan| span.number("flow.bytes.total") + span.number("flow.reverse.bytes.total");
        records.sort_by_key(|span| (span.start, span.end, octets(span)));
        let (first, last) = (records[0], records[records.len() - 1]);
        if records.windows(2).any(|pair| pair[0].end != pair[1].start) {
            return Err(format!("windows with gaps: {records:#?}"));
        }
        for counter in COUNTERS {
            let sum: u64 = records.iter().map(|span| span.number(&format!("{counter}.delta"))).sum();
            if sum != last.number(&format!("{counter}.total")) {
                return Err(format!("{counter} adds up to {sum}: {last:#?}"));
            }
        }
        let longest = TIMES.iter().map(|time| last.number(time)).max().unwrap_or(0);
        if in_order && longest > last.end - first.start {
            return Err(format!("{longest} ns of {} ns: {last:#?}", last.end - first.start));
        }
    }
    Ok(())
}

const COUNTERS: [&str; 4] = ["flow.bytes", "flow.packets", "flow.reverse.bytes", "flow.reverse.packets"];
const TIMES: [&str; 8] = [
    "flow.tcp.handshake.snd.latency",
    "flow.tcp.handshake.snd.jitter",
    "flow.tcp.handshake.cnd.latency",
    "flow.tcp.handshake.cnd.jitter",
    "flow.tcp.svc.latency",
    "flow.tcp.svc.jitter",
    "flow.tcp.rndtrip.latency",
    "flow.tcp.rndtrip.jitter",
];

/// Runs `check` on every capture, and panics with what is wrong with any.
fn of_every_capture(check: impl Fn(&Capture) -> Result<(), String> + Sync) {
    let captures = captures();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = captures.len().div_ceil(threads);
    let fault = |capture: &Capture| check(capture).err().map(|fault| format!("{}: {fault}", capture.name));
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = captures
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().filter_map(fault).collect()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|_| vec!["a panic".into()])).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    eprintln!("{} captures", captures.len());
}

/// Replays `capture`; it ends in an orderly manner, with every packet of the file in its books.
fn replayed(capture: &Capture, spans: &Path, flags: &[&str]) -> Result<Finished, String> {
    let done = replay(&[&capture.path], spans, flags);
    let orderly = matches!(done.status.code(), Some(0 | 1)) && done.is_balanced();
    if !orderly || done.stderr.contains("panicked") {
        return Err(format!("{flags:?}: {done:#?}"));
    }
    let packets = if capture.is_refused() { 0 } else { capture.noted("packets") };
    let counted = format!("packets received {packets}");
    let spaces = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !done.stdout.lines().any(|line| spaces(line) == counted) {
        return Err(format!("{flags:?}: not {packets} packets:\n{}", done.stdout));
    }
    Ok(done)
}

/// What is left of a capture when everything is told of it, and when there is room for next to nothing.
#[test]
fn no_setting_makes_a_capture_panic_or_break_the_ledger() {
    const TOLD: [&str; 6] =
        ["--set", "span.events=all", "--set", "span.include=tunnel.*", "--set", "flow.dedup=100us,1024"];
    const CROWDED: [&str; 4] = ["--capacity", "4", "--set", "flow.details=1"];
    of_every_capture(|capture| {
        let folder = folder();
        let (told, crowded) = (folder.path().join("told"), folder.path().join("crowded"));
        let done = replayed(capture, &told, &TOLD)?;
        if done.status.success() == capture.is_refused() {
            return Err(format!("{done:#?}"));
        }
        replayed(capture, &crowded, &[&TOLD[..], &CROWDED].concat())?;
        // Whatever is in them, they are spans.
        [told, crowded]
            .iter()
            .filter(|spans| spans.exists())
            .try_for_each(|spans| hang_together(capture, &read_file(spans)))
    });
}

#[test]
fn spans_do_not_depend_on_how_the_table_asks_for_its_lines() {
    of_every_capture(|capture| {
        let folder = folder();
        let mut spans = Vec::new();
        for prefetching in Prefetching::ALL.map(Prefetching::name) {
            let file = folder.path().join(prefetching);
            let done = replayed(capture, &file, &["--set", &format!("flow.prefetching={prefetching}")])?;
            if capture.is_refused() {
                return Ok(());
            }
            if !done.status.success() {
                return Err(format!("{prefetching}: {done:#?}"));
            }
            spans.push(fs::read(&file).unwrap());
        }
        let same = spans.iter().all(|other| *other == spans[0]);
        if same { Ok(()) } else { Err("gives other bytes in another way".into()) }
    });
}

#[test]
fn the_published_comparison_agrees_with_ours() {
    let Some(script) = shared("tools/compare_flows.py") else {
        return left_out_gently("compare_flows.py is not beside the repository");
    };
    let folder = folder();
    let spans = folder.path().join("spans");
    let (plain, others): (Vec<_>, Vec<_>) = captures()
        .into_iter()
        .filter(|capture| !capture.is_refused())
        .partition(|capture| capture.noted("tunnelled") == 0 && capture.noted("fragments") == 0);
    for capture in plain.iter().step_by(8).chain(&others) {
        replay(&[&capture.path], &spans, &[]).ok();
        let counts = format!("{}.expected.json", capture.path.display());
        let output =
            Command::new("python3").arg(&script).arg(&spans).arg(counts).output().expect("python3 runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let excepted = |line: &&str| capture.excepted().any(|address| line.contains(&format!("'{address}'")));
        let differences: Vec<_> = said.lines().filter(|line| line.starts_with("differs")).collect();
        let agrees = output.status.success() && said.starts_with("ok: ");
        assert!(
            agrees || (!differences.is_empty() && differences.iter().all(excepted)),
            "{}: {said}",
            capture.name
        );
        fs::remove_file(&spans).unwrap();
    }
}

/// For what a clone of the repository alone cannot have: never a failure.
fn left_out_gently(why: &str) {
    eprintln!("left out: {why}");
}

#[test]
fn several_files_are_one_replay_in_the_order_of_their_packets() {
    let captures: Vec<_> = captures().into_iter().filter(Capture::is_plain).take(5).collect();
    let files: Vec<&Path> = captures.iter().map(|capture| capture.path.as_path()).collect();
    let folder = folder();
    let spans = folder.path().join("spans");
    replay(&files, &spans, &[]).ok().balanced();
    let expected = Counts::of_captures(&captures);
    let differences = expected.differences(&Counts::of_spans(&read_file(&spans), &expected));
    assert!(differences.is_empty(), "{differences:#?}");
}

fn capture(name: &str) -> Capture {
    let named = |capture: &Capture| capture.name == name;
    captures().into_iter().find(named).unwrap_or_else(|| panic!("no capture {name}"))
}

/// A capture with several flows, all of whose packets are whole.
fn several_flows() -> Capture {
    capture("ipfixprobe/dns.pcap")
}

#[test]
fn a_file_compressed_or_in_either_byte_order_gives_the_same_flows() {
    let capture = several_flows();
    let folder = folder();
    let bytes = fs::read(&capture.path).unwrap();
    let compressed = folder.path().join("capture.pcap.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(fs::File::create(&compressed).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
    encoder.finish().unwrap();
    let swapped = folder.path().join("swapped.pcap");
    fs::write(&swapped, in_the_other_byte_order(&bytes)).unwrap();
    for file in [&compressed, &swapped] {
        let spans = file.with_extension("jsonl");
        replay(&[file], &spans, &[]).ok().balanced();
        spans_against_tshark(&capture, &read_file(&spans)).unwrap();
    }
}

#[test]
fn a_file_of_protobuf_holds_the_requests_of_the_one_of_json() {
    let capture = several_flows();
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let (json, protobuf, settings) = (path("json"), path("protobuf"), path("tapspan.toml"));
    let destinations: [(&Path, &str); 2] = [(&json, "json"), (&protobuf, "protobuf")];
    let blocks = destinations.map(|(path, format)| {
        format!("[[export.destination]]\nurl = \"file:{}\"\nformat = \"{format}\"\n", path.display())
    });
    fs::write(&settings, format!("[export]\nbatch_size = 3\n{}", blocks.concat())).unwrap();
    let mut command = tapspan();
    command.arg("replay").arg(&capture.path).arg("--config").arg(&settings).args(["--capacity", "16k"]);
    ends(command).ok().balanced();
    let mut expected = json_requests(&json);
    let scopes = expected.iter_mut().flat_map(|request| &mut request.resource_spans);
    let spans = scopes.flat_map(|resource| &mut resource.scope_spans).flat_map(|scope| &mut scope.spans);
    // An unset status is an empty object in JSON and nothing in protobuf.
    spans.for_each(|span| drop(span.status.take_if(|status| *status == Status::default())));
    assert!(expected.len() > 1, "{expected:?}");
    assert_eq!(protobuf_requests(&protobuf), expected);
}

/// Turns every number of the headers of a pcap file round.
fn in_the_other_byte_order(bytes: &[u8]) -> Vec<u8> {
    let mut turned = bytes.to_vec();
    let reverse = |part: &mut [u8], widths: &[usize]| {
        let mut at = 0;
        for width in widths {
            part[at..at + width].reverse();
            at += width;
        }
    };
    reverse(&mut turned, &[4, 2, 2, 4, 4, 4, 4]);
    let mut at = 24;
    while at < turned.len() {
        let length = u32::from_le_bytes(turned[at + 8..at + 12].try_into().unwrap()) as usize;
        reverse(&mut turned[at..], &[4, 4, 4, 4]);
        at += 16 + length;
    }
    turned
}

#[test]
fn of_a_file_cut_in_a_packet_everything_before_is_exported() {
    let capture = several_flows();
    let whole = fs::read(&capture.path).unwrap();
    let folder = folder();
    let (cut, spans) = (folder.path().join("cut.pcap"), folder.path().join("spans"));
    fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    let done = replay(&[&cut], &spans, &[]).balanced();
    assert_eq!(done.status.code(), Some(1), "{done:#?}");
    assert!(matches!(done.complaints()[..], [line] if line.contains("cut.pcap")), "{done:#?}");
    let packets: u64 = read_file(&spans).iter().flat_map(FlowSpan::packets).sum();
    assert_eq!(packets, Counts::of_captures([&capture]).packets() - 1);
}

#[test]
fn a_file_of_an_unknown_link_does_not_keep_the_others_from_being_read() {
    let capture = several_flows();
    let folder = folder();
    let (strange, spans) = (folder.path().join("strange.pcap"), folder.path().join("spans"));
    Pcap::read(&capture.path).unwrap().on_link(147).write(&strange);
    let done = replay(&[&strange, &capture.path], &spans, &[]).balanced();
    assert_eq!(done.status.code(), Some(1), "{done:#?}");
    let complaints = done.complaints();
    assert!(
        matches!(complaints[..], [line] if line.contains("strange.pcap") && line.contains("147")),
        "{done:#?}"
    );
    spans_against_tshark(&capture, &read_file(&spans)).unwrap();
}

#[test]
fn a_table_that_is_too_small_is_said_and_no_packet_is_lost() {
    let capture = several_flows();
    let folder = folder();
    let spans = folder.path().join("spans");
    let done = replay(&[&capture.path], &spans, &["--capacity", "4"]).balanced();
    assert_eq!(done.status.code(), Some(1), "{done:#?}");
    assert!(matches!(done.complaints()[..], [line] if line.contains("--capacity")), "{done:#?}");
    let spans = read_file(&spans);
    assert!(spans.iter().any(|span| span.text("flow.end_reason") == "lack_of_resources"));
    spans_against_tshark(&capture, &spans).unwrap();
}

#[test]
fn on_standard_output_there_are_readable_spans_and_nothing_else() {
    let mut command = tapspan();
    command.arg("replay").arg(several_flows().path).args(["--capacity", "16k", "--export", "stdout"]);
    let done = ends(command).ok().balanced();
    assert!(done.stdout.lines().all(|line| line.contains(" udp ") && line.contains(" 1:")), "{done:#?}");
    assert!(done.stderr.contains("ledger balanced"));
}

#[test]
fn a_flow_longer_than_the_active_timeout_gives_several_spans_of_one_trace() {
    let capture = capture("ipfixprobe/mqtt.pcap");
    let folder = folder();
    let spans = folder.path().join("spans");
    replay(
        &[&capture.path],
        &spans,
        &["--set", "flow.active_timeout=1ms", "--set", "flow.sweep_interval=10ms"],
    )
    .ok();
    let spans = read_file(&spans);
    let traces: std::collections::HashSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    assert!(traces.len() < spans.len(), "{} spans of {} flows", spans.len(), traces.len());
    assert!(spans.iter().any(|span| span.text("flow.end_reason") == "active_timeout"));
    spans_against_tshark(&capture, &spans).unwrap();
}

#[test]
fn a_file_of_spans_has_one_request_a_line_and_ends_with_a_line_feed() {
    let folder = folder();
    let spans = folder.path().join("spans");
    replay(&[&several_flows().path], &spans, &["--set", "export.batch_size=3"]).ok();
    let text = fs::read_to_string(&spans).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() > 1, "{text:?}");
    assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{text:?}");
}

#[test]
fn the_repository_stands_alone() {
    let own = fs::read_dir(repository().join("tests/captures")).unwrap().count();
    assert!(own > 3, "tests/captures has {own} entries");
}
