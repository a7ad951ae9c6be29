//! The demonstration a newcomer starts with works, with the program under test.

use super::support::{ends, left_out, repository};

#[test]
fn the_demonstration_shows_spans_and_a_balanced_ledger() {
    let repository = repository();
    if !repository.join(".venv/stamp").exists() {
        return left_out("no receiver in .venv: run scripts/setup.sh --tests");
    }
    let mut command = std::process::Command::new("bash");
    command.arg(repository.join("scripts/demo.sh")).env("TAPSPAN", env!("CARGO_BIN_EXE_tapspan"));
    let done = ends(command).ok();
    assert!(
        done.stdout.contains("flow.community_id") && done.stdout.contains("ledger balanced"),
        "{done:#?}"
    );
}
