//! The program: what each subcommand does, and how it ends.

mod check;
#[cfg(feature = "dpdk")]
mod cores;
#[cfg(feature = "dpdk")]
mod dpdk_log;
mod error;
mod intake;
#[cfg(feature = "dpdk")]
mod live;
#[cfg(feature = "dpdk")]
mod live_flows;
mod merge;
mod outlet;
#[cfg(feature = "dpdk")]
mod own;
#[cfg(feature = "dpdk")]
mod plane;
mod replay;
mod report;
#[cfg(feature = "dpdk")]
mod signals;
mod spans;
#[cfg(feature = "dpdk")]
mod sweep;
#[cfg(feature = "dpdk")]
mod threads;

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;

use crate::cli::{Cli, Command, RunArgs};
use crate::config::{Loaded, Override};
use crate::{config, span, telemetry};

pub use error::AppError;

/// Where spans of a live run go when nobody says: OTLP/gRPC on this machine, as for every OpenTelemetry exporter.
const DEFAULT_EXPORT: &str = "grpc://localhost:4317";

/// Does what the command line says. Errors are one line on standard error.
pub fn run(cli: &Cli) -> ExitCode {
    let result = match &cli.command {
        Command::Run(args) => run_live(args),
        Command::Replay(args) => load(args.shared.config.as_deref(), &args.shared.overrides())
            .and_then(|l| replay::run(args, &l.settings)),
        Command::Check(args) => check::run(args),
        Command::Attributes => {
            print!("{}", span::reference());
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("tapspan: {error}");
        error.exit_code()
    })
}

#[cfg(feature = "dpdk")]
fn run_live(args: &RunArgs) -> Result<ExitCode, AppError> {
    let loaded = load(args.shared.config.as_deref(), &args.overrides())?;
    live::run(&loaded.settings)
}

#[cfg(not(feature = "dpdk"))]
fn run_live(_args: &RunArgs) -> Result<ExitCode, AppError> {
    Err(AppError::Failed(
        "this program was built without DPDK and only replays; build it with the feature dpdk".into(),
    ))
}

/// Reads the settings and starts the log by them.
fn load(file: Option<&std::path::Path>, flags: &[Override]) -> Result<Loaded, AppError> {
    let loaded = config::load(file, environment(), flags)?;
    telemetry::init(&loaded.settings.log, env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded)
}

/// The variables that are text; others cannot be meant for this program.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A number nobody can guess, from the randomness the standard library draws for its hash maps.
fn random() -> u64 {
    RandomState::new().hash_one(0u8)
}
