//! What cannot work: one line that says what to do, the right exit code, and no backtrace.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::devices::small_capture;
use super::support::{Finished, Tapspan, ends, folder, left_out, tapspan};

/// A setting or the command line is wrong.
const SETTINGS: i32 = 2;
/// Anything else went wrong.
const FAILED: i32 = 1;

fn complains<const WORDS: usize>(command: Command, code: i32, words: [&str; WORDS]) {
    let shown = format!("{command:?}");
    said(&ends(command), code, words, &shown);
}

/// Panics unless it ended with `code` and one line of its own that has all of `words`.
fn said<const WORDS: usize>(done: &Finished, code: i32, words: [&str; WORDS], what: &str) {
    assert_eq!(done.status.code(), Some(code), "{what}: {done:#?}");
    let own: Vec<_> = done.stderr.lines().filter(|line| line.starts_with("tapspan: ")).collect();
    let [line] = own[..] else { panic!("{what}: not one line of its own: {done:#?}") };
    for word in words {
        assert!(line.contains(word), "{what}: no {word:?} in {line}");
    }
    for word in ["panicked", "stack backtrace", "RUST_BACKTRACE", "src/"] {
        assert!(!done.stderr.contains(word), "{what}: {done:#?}");
    }
}

fn run(flags: &[&str]) -> Command {
    let mut command = tapspan();
    command.args(["run", "--http", "127.0.0.1:0", "--capacity", "16k", "--export", "stdout"]).args(flags);
    command
}

fn replay(flags: &[&str]) -> Command {
    let mut command = tapspan();
    command.arg("replay").arg(small_capture()).args(["--capacity", "16k"]).args(flags);
    command
}

#[test]
fn an_unknown_device_is_named_with_what_there_is() {
    complains(run(&["--port", "net_nothing0"]), FAILED, ["net_nothing0", "net_af_packet"]);
    complains(run(&["--port", "net_af_packet0,iface=tapspan-none"]), FAILED, ["tapspan-none", "ip link"]);
    complains(run(&["--port", "lo"]), FAILED, ["net_af_packet0,iface=lo"]);
    complains(run(&["--port", "ffff:ff:1f.7"]), FAILED, ["ffff:ff:1f.7"]);
    complains(run(&["--port", "net_pcap0,rx_pcap=/nonexistent.pcap"]), FAILED, ["/nonexistent.pcap"]);
}

#[test]
fn no_port_or_a_core_that_is_not_there_is_a_wrong_setting() {
    complains(run(&[]), SETTINGS, ["--port"]);
    complains(run(&["--port", "net_null0", "--lcores", "4000"]), SETTINGS, ["worker.lcores", "4000"]);
}

#[test]
fn without_permission_the_right_that_is_missing_is_named() {
    let folder = folder();
    let program = folder.path().join("tapspan");
    fs::copy(env!("CARGO_BIN_EXE_tapspan"), &program).unwrap();
    let as_nobody = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).args(words);
        command
    };
    let mut probe = as_nobody(&[]);
    probe.arg(&program).arg("--version");
    if !probe.output().is_ok_and(|output| output.status.success()) {
        return left_out("cannot become another user: run as root, in a folder everybody may enter");
    }
    for (device, right) in [("net_af_packet0", "CAP_NET_RAW"), ("net_af_xdp0", "CAP_BPF")] {
        let mut command = as_nobody(&[]);
        command.arg(&program).args(["run", "--http", "off", "--capacity", "16k", "--export", "stdout"]);
        command.args(["--port", &format!("{device},iface=lo")]);
        complains(command, FAILED, ["no permission", "run as root", right]);
    }
}

#[test]
fn a_port_of_the_endpoint_that_is_taken_is_named_with_the_flag_to_change_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = tapspan();
    command.args(["run", "--port", "net_null0", "--export", "stdout", "--http", &address]);
    complains(command, FAILED, [&address, "--http"]);
}

#[test]
fn a_wrong_settings_file_is_named_with_line_or_key() {
    let folder = folder();
    let settings = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let broken = settings("broken.toml", "[flow]\ncapacity = [");
    complains(replay(&["--config", &broken]), SETTINGS, ["broken.toml:2"]);
    let unknown = settings("unknown.toml", "[flow]\ncapicity = 3\n");
    complains(replay(&["--config", &unknown]), SETTINGS, ["unknown.toml", "flow.capicity", "flow.capacity"]);
    let value = settings("value.toml", "[flow]\nactive_timeout = \"soon\"\n");
    complains(replay(&["--config", &value]), SETTINGS, ["flow.active_timeout", "soon"]);
    let absent = folder.path().join("absent.toml").display().to_string();
    complains(replay(&["--config", &absent]), SETTINGS, ["absent.toml", "--config"]);
}

#[test]
fn a_destination_that_cannot_be_is_a_wrong_setting() {
    complains(replay(&["--export", "ftp://localhost"]), SETTINGS, ["ftp://localhost", "grpc://HOST:PORT"]);
    complains(
        replay(&["--export", "file:/nonexistent/spans"]),
        SETTINGS,
        ["/nonexistent/spans", "can be written"],
    );
    complains(
        run(&["--port", "net_null0", "--export", "file:/nonexistent/spans"]),
        SETTINGS,
        ["/nonexistent/spans"],
    );
}

#[test]
fn a_capture_that_is_not_there_or_is_none_is_named() {
    let mut command = tapspan();
    command.args(["replay", "/nonexistent.pcap", "--capacity", "16k", "--export", "stdout"]);
    complains(command, FAILED, ["/nonexistent.pcap"]);
    let mut command = tapspan();
    command.arg("replay").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    command.args(["--capacity", "16k", "--export", "stdout"]);
    complains(command, FAILED, ["Cargo.toml"]);
}

/// A port nobody listens on: it was given to us, and is given back.
fn unreachable() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("grpc://{address}")
}

#[test]
fn a_replay_whose_collector_does_not_answer_fails_and_says_where() {
    let url = unreachable();
    let command = replay(&["--export", &url, "--set", "export.retry_for=0s"]);
    complains(command, FAILED, [&url, "did not reach"]);
}

#[test]
fn a_run_whose_collector_does_not_answer_goes_on_and_drains() {
    let url = unreachable();
    let port = format!("net_pcap0,rx_pcap={}", small_capture().display());
    let grace = "export.shutdown_grace=1s";
    let mut probe = Tapspan::polling(["--port", &port, "--export", &url, "--set", grace]);
    let endpoint = probe.endpoint();
    endpoint.ledger_with(1);
    let (status, answer) = endpoint.ask("POST", "/api/v1/flush").unwrap();
    assert_eq!(status, 200, "{answer}");
    probe.line_with("cannot deliver");
    assert!(probe.running.is_running());
    assert_eq!(endpoint.ledger()["balanced"], true);
    probe.running.signal("TERM");
    let done = probe.running.finish().balanced();
    assert!(done.stdout.contains("dropped: "), "{done:#?}");
    assert!(!done.stderr.contains("panicked"), "{done:#?}");
}
