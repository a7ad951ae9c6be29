//! Community IDs of spans against the published ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::support::{folder, read_file, replay, repository};

fn published(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(baseline().join(file)).unwrap();
    let tuples: Value = serde_json::from_str(&text).unwrap();
    let ids = tuples.as_array().unwrap().iter();
    ids.map(|tuple| tuple["communityid"].as_str().unwrap().to_owned()).collect()
}

fn baseline() -> PathBuf {
    repository().join("tests/captures/community-id")
}

fn ids_of_spans(flags: &[&str]) -> BTreeSet<String> {
    let mut files: Vec<_> = fs::read_dir(baseline()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    let folder = folder();
    let mut ids = BTreeSet::new();
    for (number, file) in files.iter().enumerate() {
        let spans = folder.path().join(number.to_string());
        replay(&[file], &spans, flags).ok();
        ids.extend(read_file(&spans).iter().map(|span| span.text("flow.community_id").to_owned()));
    }
    ids
}

#[test]
fn every_published_id_comes_out_of_its_capture_and_no_other() {
    assert_eq!(ids_of_spans(&[]), published("baseline_deflt.json"));
}

#[test]
fn the_seed_of_community_ids_is_a_setting() {
    assert_eq!(ids_of_spans(&["--set", "flow.community_id_seed=1"]), published("baseline_seed1.json"));
}
