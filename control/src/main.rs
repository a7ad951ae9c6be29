//! The program `tapspan`. See the library for everything it does.

use std::process::ExitCode;

use clap::Parser;
use tapspan::{app, cli::Cli};

fn main() -> ExitCode {
    app::run(&Cli::parse())
}
