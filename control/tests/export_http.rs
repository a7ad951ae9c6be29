//! OTLP/HTTP against a server that shows what came in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export_support;

use std::io::Read;
use std::time::Duration;

use export_support::receivers::{CA, CLIENT_CERTIFICATE, CLIENT_KEY, http, https, partial};
use export_support::{dropped, encoder, figures, names, names_in_protobuf, next, records, settings};
use flate2::read::GzDecoder;
use prost::Message;
use tapspan::export::{
    Compression, DestinationLedger, DropCause, ExportSettings, Exporter, TlsFiles, header,
};

fn export(settings: ExportSettings, count: u32) -> DestinationLedger {
    let exporter = Exporter::start(&[settings], encoder).unwrap();
    exporter.handle().offer_blocking(records(0, count));
    exporter.shutdown(Duration::MAX).destinations.remove(0)
}

#[test]
fn every_span_arrives_once_and_in_order_with_headers() {
    let server = http(Vec::new());
    let mut settings = settings(&format!("http://{}", server.address), 100);
    settings.headers.extend([header("X-Tenant", "blue").unwrap()]);
    let books = export(settings, 1_050);
    assert_eq!((figures(&books), books.requests), ((1_050, 1_050, 0, 0), 11));
    let mut arrived = Vec::new();
    for seen in server.seen.try_iter() {
        assert_eq!(seen.path, "/v1/traces");
        assert_eq!(seen.headers["content-type"], "application/x-protobuf");
        assert_eq!(seen.headers["x-tenant"], "blue");
        assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("tapspan/"));
        arrived.extend(names_in_protobuf(&seen.body));
    }
    assert_eq!(arrived, names(0, 1_050));
}

#[test]
fn requests_are_compressed_as_set() {
    for (compression, encoding) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let server = http(Vec::new());
        let url = format!("http://{}/in/here", server.address);
        let books = export(ExportSettings { compression, ..settings(&url, 50) }, 50);
        assert_eq!(figures(&books), (50, 50, 0, 0));
        let seen = next(&server.seen);
        assert_eq!(
            (seen.path.as_str(), &seen.headers["content-encoding"]),
            ("/in/here", &encoding.parse().unwrap())
        );
        let mut body = Vec::new();
        match compression {
            Compression::Gzip => drop(GzDecoder::new(seen.body.as_ref()).read_to_end(&mut body).unwrap()),
            _ => body = zstd::decode_all(seen.body.as_ref()).unwrap(),
        }
        assert_eq!(names_in_protobuf(&body), names(0, 50));
    }
}

#[test]
fn answers_that_may_pass_are_tried_again() {
    let script = [429, 502, 503, 504].map(|status| (status, vec![("retry-after", "0")], Vec::new())).into();
    let server = http(script);
    let books = export(settings(&format!("http://{}", server.address), 10), 10);
    assert_eq!((figures(&books), books.retries), ((10, 10, 0, 0), 4));
}

#[test]
fn a_wait_longer_than_retries_may_last_is_not_begun() {
    let server = http(vec![(503, vec![("retry-after", "86400")], Vec::new())]);
    let books = export(settings(&format!("http://{}", server.address), 10), 10);
    assert_eq!((dropped(&books, DropCause::RetriesExhausted), books.retries), (10, 0));
}

#[test]
fn other_answers_reject_the_batch_with_the_words_of_the_receiver() {
    // google.rpc.Status { code: 3, message: "span without id" }
    let status = [&[0x08, 0x03, 0x12, 0x0f][..], b"span without id"].concat();
    let cases = [
        ((400, vec![], status), "HTTP 400 Bad Request: span without id"),
        ((500, vec![], b"oops\n".to_vec()), "HTTP 500 Internal Server Error: oops"),
        ((301, vec![("location", "http://127.0.0.1:1/")], vec![]), "HTTP 301 Moved Permanently"),
    ];
    for (answer, said) in cases {
        let server = http(vec![answer]);
        let books = export(settings(&format!("http://{}", server.address), 10), 10);
        assert_eq!((dropped(&books, DropCause::Rejected), books.retries), (10, 0));
        assert_eq!(books.last_error.unwrap().text, said);
    }
}

#[test]
fn a_collector_that_never_answers_is_cut_off_by_the_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut impatient = ExportSettings { timeout: Duration::from_millis(20), ..settings(&url, 10) };
    impatient.retry.max_elapsed = Duration::ZERO;
    let books = export(impatient, 10);
    assert_eq!(dropped(&books, DropCause::RetriesExhausted), 10);
    assert!(books.last_error.unwrap().text.contains("timed out"));
}

#[test]
fn a_partial_success_counts_what_was_not_kept() {
    let server = http(vec![(200, vec![], partial(4, "names too long").encode_to_vec())]);
    let books = export(settings(&format!("http://{}", server.address), 10), 20);
    assert_eq!((figures(&books), dropped(&books, DropCause::Rejected)), ((20, 16, 0, 4), 4));
    assert_eq!(books.last_error.unwrap().text, "names too long");
}

#[test]
fn tls_is_checked_against_the_given_authority_and_shows_the_own_certificate() {
    let server = https(Vec::new());
    let tls = TlsFiles {
        ca: Some(CA.into()),
        client_certificate: Some(CLIENT_CERTIFICATE.into()),
        client_key: Some(CLIENT_KEY.into()),
    };
    let url = format!("https://localhost:{}", server.address.port());
    let books = export(ExportSettings { tls, ..settings(&url, 10) }, 10);
    assert_eq!(figures(&books), (10, 10, 0, 0), "{books:?}");
    assert_eq!(names_in_protobuf(&next(&server.seen).body), names(0, 10));
}
