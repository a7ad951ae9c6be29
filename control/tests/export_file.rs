//! Files of OTLP requests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export_support;

use std::fs;
use std::time::Duration;

use export_support::{dropped, encoder, figures, names, names_in, names_in_protobuf, records, settings};
use tapspan::export::{Compression, DropCause, ExportSettings, Exporter, FileFormat};

#[test]
fn a_file_holds_one_request_a_line_and_nothing_of_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spans.jsonl");
    fs::write(&path, "what was there before, longer than nothing").unwrap();
    for _ in 0..2 {
        let exporter =
            Exporter::start(&[settings(&format!("file:{}", path.display()), 10)], encoder).unwrap();
        exporter.handle().offer_blocking(records(0, 11));
        exporter.handle().offer_blocking(records(11, 14));
        let books = exporter.shutdown(Duration::MAX).destinations.remove(0);
        assert_eq!((figures(&books), books.requests), ((25, 25, 0, 0), 3));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n'));
        let lines: Vec<_> = text.lines().map(|line| names_in(&serde_json::from_str(line).unwrap())).collect();
        assert_eq!(lines, [names(0, 10), names(10, 10), names(20, 5)]);
    }
}

#[test]
fn a_file_of_protobuf_holds_requests_each_behind_its_length_and_never_compressed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spans.binpb");
    let settings = ExportSettings {
        file_format: FileFormat::Protobuf,
        compression: Compression::Gzip,
        ..settings(&format!("file:{}", path.display()), 10)
    };
    let exporter = Exporter::start(&[settings], encoder).unwrap();
    exporter.handle().offer_blocking(records(0, 25));
    let books = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!((figures(&books), books.requests), ((25, 25, 0, 0), 3));
    let file = fs::read(&path).unwrap();
    let (mut rest, mut requests) = (file.as_slice(), Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (request, next) = behind.split_at(u32::from_be_bytes(*length) as usize);
        requests.push(names_in_protobuf(request));
        rest = next;
    }
    assert_eq!((requests, rest.len()), (vec![names(0, 10), names(10, 10), names(20, 5)], 0));
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing").join("spans.jsonl");
    let error = Exporter::start(&[settings(&format!("file:{}", path.display()), 10)], encoder).err().unwrap();
    let expected =
        format!("export: \"file:{}\" is not usable: give a file that can be written (", path.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_drops_and_counts() {
    let mut settings = settings("file:/dev/full", 10);
    settings.retry.max_elapsed = Duration::ZERO;
    let exporter = Exporter::start(&[settings], encoder).unwrap();
    exporter.handle().offer_blocking(records(0, 20));
    let books = exporter.shutdown(Duration::MAX).destinations.remove(0);
    assert_eq!(dropped(&books, DropCause::RetriesExhausted), 20);
    assert!(books.last_error.unwrap().text.contains("No space left"));
}
