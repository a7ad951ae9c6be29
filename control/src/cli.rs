//! The command line. What it sets goes over the environment and the file, see [`crate::config`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Given, LogFormat, Origin, Override, PortConfig};

const EXAMPLES: &str = "\
Examples:
  See the conversations of a capture file:
    tapspan replay capture.pcap --export stdout

  Watch the interface eth1 and send spans to a collector on this machine:
    tapspan run --port net_af_packet0,iface=eth1,name=uplink --export grpc://localhost:4317

  Both wires of a TAP, on PCI ports, with workers on cores 2 and 3:
    tapspan run --port 0000:03:00.0,name=east --port 0000:03:00.1,name=west --lcores 2,3

  Find out whether this machine is ready:
    tapspan check --port 0000:03:00.0

Exit codes: 0 done, 1 failed on the way, 2 a setting or the command line is wrong.
Every setting is also a key of the file and a variable of the environment; flags go over
variables, variables over the file. tapspan.example.toml explains all of them.";

/// Turns the packets of a TAP or SPAN port into OpenTelemetry spans: one for each conversation.
#[derive(Debug, Parser)]
#[command(name = "tapspan", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive from DPDK ports until interrupted (Ctrl-C or SIGTERM drains; a second one stops at once)
    Run(RunArgs),
    /// Read capture files to their end, on their own clock
    Replay(ReplayArgs),
    /// Look at the settings and the machine, and say what to do about each finding
    ///
    /// Takes the flags of `run`: put `check` in its place to try out a command line.
    Check(RunArgs),
    /// Print the reference of all attributes a span can have
    Attributes,
}

/// Flags of `run` and `check`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Port to receive on: a PCI address or a DPDK device with its arguments; repeat for several
    ///
    /// Examples: 0000:03:00.0 · net_af_xdp0,iface=eth1,name=uplink · net_pcap0,rx_pcap=file.pcap. name=NAME is what
    /// spans call the port. Replaces the ports of the file.
    #[arg(long = "port", value_name = "DEVICE[,name=NAME]", help_heading = "Receiving")]
    pub ports: Vec<PortConfig>,

    /// Cores that poll, one worker on each: 2 or 2,4 or 2-5,8 [default: one that is free]
    #[arg(long, value_name = "LIST", help_heading = "Receiving")]
    pub lcores: Option<String>,

    /// Further arguments for DPDK, in one string: "--no-huge -m 512"
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, help_heading = "Receiving")]
    pub eal: Option<String>,

    /// Flags shared with `replay`.
    #[command(flatten)]
    pub shared: SharedArgs,

    /// Address of the control endpoint, or off [default: 127.0.0.1:8277]
    #[arg(long, value_name = "ADDR", help_heading = "Operating")]
    pub http: Option<String>,
}

/// Flags of `replay`.
#[derive(Clone, Debug, Default, Args)]
pub struct ReplayArgs {
    /// Capture files: pcap or pcapng, also gzipped
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Flags shared with `run`.
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Flags of every subcommand that reads settings.
#[derive(Clone, Debug, Default, Args)]
pub struct SharedArgs {
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE", env = "TAPSPAN_CONFIG")]
    pub config: Option<PathBuf>,

    /// Where spans go; repeat for several
    ///
    /// One of grpc://host:port, grpcs://host:port, http://host:port, https://host:port (OTLP), file:PATH (OTLP/JSON,
    /// one request a line), stdout (readable). Replaces the destinations of the file.
    #[arg(long = "export", value_name = "URL", help_heading = "Spans")]
    pub exports: Vec<String>,

    /// Flows each worker's table holds, such as 64k or 4M [default: 1M]
    #[arg(long, value_name = "FLOWS", help_heading = "Spans")]
    pub capacity: Option<String>,

    /// Level of the log: error, warn, info, debug, trace, off, or by module as in RUST_LOG [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Operating")]
    pub log: Option<String>,

    /// Form of the log [default: text]
    #[arg(long, value_name = "FORM", value_enum, help_heading = "Operating")]
    pub log_format: Option<LogFormat>,

    /// Any setting by its key: --set flow.active_timeout=10s; repeat for several
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value, help_heading = "Operating")]
    pub set: Vec<(String, String)>,
}

impl RunArgs {
    /// The settings these flags make, in order.
    pub fn overrides(&self) -> Vec<Override> {
        let mut settings = self.shared.overrides();
        if !self.ports.is_empty() {
            settings.push(whole("--port", "port", Given::Ports(self.ports.clone())));
        }
        settings.extend(text("--lcores", "worker.lcores", self.lcores.as_ref()));
        settings.extend(text("--eal", "dpdk.eal_args", self.eal.as_ref()));
        settings.extend(text("--http", "http.listen", self.http.as_ref()));
        settings
    }
}

impl SharedArgs {
    /// The settings these flags make, in order; a flag of its own goes over the same key in `--set`.
    pub fn overrides(&self) -> Vec<Override> {
        let mut settings: Vec<Override> =
            self.set.iter().map(|(key, value)| Override::flag("--set", key, value)).collect();
        if !self.exports.is_empty() {
            settings.push(whole("--export", "export.destination", Given::Destinations(self.exports.clone())));
        }
        settings.extend(text("--capacity", "flow.capacity", self.capacity.as_ref()));
        settings.extend(text("--log", "log.level", self.log.as_ref()));
        let format = self.log_format.map(|format| match format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        settings.extend(text("--log-format", "log.format", format.as_ref()));
        settings
    }
}

fn whole(flag: &str, key: &str, value: Given) -> Override {
    Override { origin: Origin::Flag(flag.to_owned()), key: key.to_owned(), value }
}

fn text(flag: &str, key: &str, value: Option<&String>) -> Option<Override> {
    value.map(|value| Override::flag(flag, key, value))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as flow.active_timeout=10s")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
