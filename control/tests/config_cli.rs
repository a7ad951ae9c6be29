//! The command line that scripts rely on, and what it makes of the settings.

use clap::{CommandFactory, Parser};
use tapspan::cli::{Cli, Command, ReplayArgs, RunArgs};
use tapspan::config::{Lcores, Listen, LogFormat, Settings, load};

fn run(arguments: &[&str]) -> RunArgs {
    match command(&[&["run"], arguments].concat()) {
        Ok(Command::Run(args)) => args,
        other => panic!("not a run: {other:?}"),
    }
}

fn replay(arguments: &[&str]) -> ReplayArgs {
    match command(&[&["replay"], arguments].concat()) {
        Ok(Command::Replay(args)) => args,
        other => panic!("not a replay: {other:?}"),
    }
}

fn command(arguments: &[&str]) -> Result<Command, clap::Error> {
    Cli::try_parse_from([&["tapspan"], arguments].concat()).map(|cli| cli.command)
}

fn settings(args: &RunArgs) -> Settings {
    load(None, [], &args.overrides()).expect("the flags are right").settings
}

#[test]
fn every_flag_of_run_reaches_its_setting() {
    let line = "--port net_af_packet0,iface=veth0,name=uplink --port 0000:03:00.0 --lcores 1,3-4 \
                --export grpc://localhost:4317 --export file:out.jsonl --http off --capacity 64k --log debug \
                --log-format json --set flow.active_timeout=10s --set flow.service_ports=8080,9092";
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    arguments.extend(["--eal", "--no-huge -m 512"]);
    let settings = settings(&run(&arguments));
    assert_eq!(settings.port[0].device, "net_af_packet0,iface=veth0");
    assert_eq!(settings.port[0].name, "uplink");
    assert_eq!(settings.port[1].name, "0000:03:00.0");
    assert_eq!(settings.worker.lcores, Lcores::List(vec![1, 3, 4]));
    assert_eq!(settings.dpdk.eal_args, "--no-huge -m 512");
    assert_eq!(settings.export.destination[1].url, "file:out.jsonl");
    assert_eq!(settings.http.listen, Listen::Off);
    assert_eq!(settings.flow.capacity, 64_000);
    assert_eq!(settings.log.level, "debug");
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.flow.timeouts().active_ns, 10_000_000_000);
    assert_eq!(settings.flow.service_ports, [8080, 9092]);
}

#[test]
fn run_without_flags_changes_nothing() {
    assert_eq!(settings(&run(&[])), Settings::default());
}

#[test]
fn replay_takes_several_files_before_or_after_its_flags() {
    for arguments in
        [["a.pcap", "b.pcapng", "--export", "stdout"], ["--export", "stdout", "a.pcap", "b.pcapng"]]
    {
        let args = replay(&arguments);
        assert_eq!(args.files, ["a.pcap", "b.pcapng"].map(std::path::PathBuf::from));
        let settings = load(None, [], &args.shared.overrides()).unwrap().settings;
        assert_eq!(settings.export.destination[0].url, "stdout");
    }
}

#[test]
fn check_takes_the_flags_of_run_and_attributes_takes_none() {
    assert!(matches!(
        command(&["check", "--config", "a.toml", "--port", "net_null0"]),
        Ok(Command::Check(_))
    ));
    assert!(matches!(command(&["attributes"]), Ok(Command::Attributes)));
    assert!(command(&["attributes", "--config", "a.toml"]).is_err());
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for arguments in [
        &["run", "--prot", "net_null0"][..],
        &["run", "--port", "name=a"],
        &["run", "--set", "flow.capacity"],
        &["run", "--log-format", "xml"],
        &["replay"],
        &["walk"],
        &[],
    ] {
        let error = command(arguments).expect_err("refused");
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
}

#[test]
fn help_has_examples_and_names_every_form_of_a_url() {
    let mut cli = Cli::command();
    cli.clone().debug_assert();
    let help = cli.render_long_help().to_string();
    for part in [
        "run",
        "replay",
        "check",
        "attributes",
        "Turns the packets",
        "Examples:",
        "net_af_packet0,iface=eth1",
        "Exit codes",
    ] {
        assert!(help.contains(part), "{part}");
    }
    let run = cli.find_subcommand_mut("run").unwrap().render_long_help().to_string();
    for part in ["grpc://", "grpcs://", "http://", "https://", "file:PATH", "stdout", "127.0.0.1:8277"] {
        assert!(run.contains(part), "{part} in {run}");
    }
}
