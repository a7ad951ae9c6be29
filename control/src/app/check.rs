//! `tapspan check`: the settings and the machine, and what to do about each finding.

use std::process::ExitCode;

use super::AppError;
use crate::cli::RunArgs;

pub(super) fn run(args: &RunArgs) -> Result<ExitCode, AppError> {
    super::load(args.shared.config.as_deref(), &args.overrides())?;
    Ok(ExitCode::SUCCESS)
}
