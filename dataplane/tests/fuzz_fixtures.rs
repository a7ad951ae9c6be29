//! The inputs of `tests/fuzz` without a fuzzer: its small corpus, and everything that was ever found.

use std::path::{Path, PathBuf};

#[path = "../../tests/fuzz/cases/bytes.rs"]
mod bytes;
#[path = "../../tests/fuzz/cases/capture.rs"]
mod capture;
#[path = "../../tests/fuzz/cases/filter.rs"]
mod filter;
#[path = "../../tests/fuzz/cases/packet.rs"]
mod packet;

/// Runs every input there is for `target`, and some made of it.
fn replay(target: &str, case: fn(&[u8])) {
    let inputs = inputs(target);
    assert!(inputs.len() > 5, "there are inputs for {target}");
    for path in inputs {
        // Shown where the test fails.
        println!("{}", path.display());
        let input = std::fs::read(&path).expect("an input can be read");
        case(&input);
        for cut in 1..8 {
            case(&input[..input.len() * cut / 8]);
        }
    }
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz");
    let folders = ["corpus", "fixtures"].map(|folder| fuzz.join(folder).join(target));
    let mut found: Vec<_> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    found.sort();
    found
}

#[test]
fn frames_of_the_corpus_are_accounted_for() {
    replay("packet", packet::run);
}

#[test]
fn files_of_the_corpus_are_read_to_an_end() {
    replay("capture", capture::run);
}

#[test]
fn programs_of_the_corpus_run_as_they_are_written() {
    replay("filter", filter::run);
}
