//! The captures of the repository and, where they lie beside it, the larger collection they were taken from.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

#[path = "../../captures/exceptions.rs"]
mod exceptions;

use exceptions::EXCEPTIONS;

/// A capture with its independent counts.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub(crate) path: PathBuf,
    /// Folder and file, such as `zeek/arp.pcap`.
    pub(crate) name: String,
    /// `NAME.expected.json`.
    pub(crate) expected: Value,
}

impl Capture {
    /// Packets the counts say `what` of, such as `fragments`.
    pub(crate) fn noted(&self, what: &str) -> u64 {
        self.expected["notes"][what].as_u64().unwrap_or(0)
    }

    /// Addresses whose flows are not to be compared; one of them is empty where none is.
    pub(crate) fn excepted(&self) -> impl Iterator<Item = &'static str> {
        EXCEPTIONS.iter().filter(|(name, ..)| *name == self.name).map(|(_, address, _)| *address)
    }

    /// Whether the program reads none of it, and says so.
    pub(crate) fn is_refused(&self) -> bool {
        self.excepted().any(str::is_empty)
    }

    /// Whether every packet of it is whole, in no tunnel, and can be counted as it is.
    pub(crate) fn is_plain(&self) -> bool {
        ["tunnelled", "fragments", "odd", "truncated"].iter().all(|what| self.noted(what) == 0)
            && self.excepted().next().is_none()
    }
}

pub(crate) fn repository() -> PathBuf {
    let control = Path::new(env!("CARGO_MANIFEST_DIR"));
    control.parent().expect("the crate is in a folder of the workspace").to_owned()
}

/// A folder or file of the collection beside the repository, where it is.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let found = repository().parent()?.join("shared").join(path);
    found.exists().then_some(found)
}

/// All captures: the larger collection where it is there, else the repository's own.
pub(crate) fn captures() -> Vec<Capture> {
    shared("captures").map_or_else(own_captures, |root| captures_in(&root))
}

/// The captures of the repository.
pub(crate) fn own_captures() -> Vec<Capture> {
    captures_in(&repository().join("tests/captures"))
}

fn captures_in(root: &Path) -> Vec<Capture> {
    let mut found = Vec::new();
    for folder in entries(root).iter().filter(|path| path.is_dir()) {
        for path in entries(folder) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let counts = folder.join(format!("{file}.expected.json"));
            if let Ok(text) = fs::read_to_string(&counts) {
                let group = folder.file_name().unwrap_or_default().to_string_lossy();
                let expected = serde_json::from_str(&text).expect("counts are JSON");
                found.push(Capture { path, name: format!("{group}/{file}"), expected });
            }
        }
    }
    assert!(found.len() > 20, "captures in {}", root.display());
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
