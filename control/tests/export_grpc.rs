//! OTLP/gRPC against a server made from the generated code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export_support;

use std::time::Duration;

use export_support::receivers::{CA, CLIENT_CERTIFICATE, CLIENT_KEY, GrpcOptions, Running, grpc, partial};
use export_support::{dropped, encoder, figures, names, next, records, settings};
use prost::Message;
use tapspan::export::{
    Compression, DestinationLedger, DropCause, ExportSettings, Exporter, TlsFiles, header,
};
use tonic::{Code, Status};

fn url(server: &Running) -> String {
    format!("grpc://{}", server.address)
}

/// Exports `count` records and returns the final books.
fn export(settings: ExportSettings, count: u32) -> DestinationLedger {
    let exporter = Exporter::start(&[settings], encoder).unwrap();
    exporter.handle().offer_blocking(records(0, count));
    exporter.shutdown(Duration::MAX).destinations.remove(0)
}

#[test]
fn every_span_arrives_once_and_in_order_with_headers() {
    let server = grpc(GrpcOptions::default());
    let mut settings = settings(&url(&server), 100);
    settings.headers.extend([header("X-Tenant", "blue").unwrap()]);
    let books = export(settings, 1_050);
    assert_eq!((figures(&books), books.requests), ((1_050, 1_050, 0, 0), 11));
    let mut arrived = Vec::new();
    for seen in server.seen.try_iter() {
        assert_eq!(seen.headers["x-tenant"], "blue");
        assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("tapspan/"));
        assert!(seen.headers.contains_key("grpc-timeout"));
        arrived.extend(seen.names);
    }
    assert_eq!(arrived, names(0, 1_050));
}

#[test]
fn requests_are_compressed_as_set() {
    for (compression, encoding) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let server = grpc(GrpcOptions::default());
        let books = export(ExportSettings { compression, ..settings(&url(&server), 50) }, 50);
        assert_eq!(figures(&books), (50, 50, 0, 0));
        let seen = next(&server.seen);
        assert_eq!(seen.headers["grpc-encoding"], encoding);
        assert_eq!(seen.names, names(0, 50));
    }
}

#[test]
fn an_unavailable_collector_is_tried_again() {
    let script = vec![Err(Status::unavailable("starting")), Err(Status::unavailable("starting"))];
    let server = grpc(GrpcOptions { script, ..GrpcOptions::default() });
    let books = export(settings(&url(&server), 10), 10);
    assert_eq!((figures(&books), books.retries), ((10, 10, 0, 0), 2));
    assert!(books.last_error.unwrap().text.contains("starting"));
    assert_eq!(server.seen.try_iter().count(), 3);
}

#[test]
fn connections_that_break_are_made_again() {
    // The first is the look at the start.
    let server = grpc(GrpcOptions { broken_connections: 3, ..GrpcOptions::default() });
    let books = export(settings(&url(&server), 10), 10);
    assert_eq!(figures(&books), (10, 10, 0, 0));
    assert!(books.retries > 0, "{books:?}");
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[test]
fn an_exhausted_collector_is_tried_again_only_where_it_says_when() {
    // google.rpc.RetryInfo with a delay of 3 ms.
    let value = vec![0x0a, 0x05, 0x10, 0xc0, 0x8d, 0xb7, 0x01];
    let details = vec![Detail { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value }];
    let status = RpcStatus { code: Code::ResourceExhausted as i32, details }.encode_to_vec();
    let throttled = Status::with_details(Code::ResourceExhausted, "slow down", status.into());
    let server = grpc(GrpcOptions { script: vec![Err(throttled)], ..GrpcOptions::default() });
    let books = export(settings(&url(&server), 10), 10);
    assert_eq!((figures(&books), books.retries), ((10, 10, 0, 0), 1));

    let script = vec![Err(Status::resource_exhausted("too large"))];
    let server = grpc(GrpcOptions { script, ..GrpcOptions::default() });
    let books = export(settings(&url(&server), 10), 10);
    assert_eq!((dropped(&books, DropCause::Rejected), books.retries), (10, 0));
}

#[test]
fn a_final_answer_rejects_the_batch() {
    let script = vec![Err(Status::unauthenticated("who are you"))];
    let server = grpc(GrpcOptions { script, ..GrpcOptions::default() });
    let books = export(settings(&url(&server), 10), 15);
    assert_eq!((figures(&books), dropped(&books, DropCause::Rejected)), ((15, 5, 0, 10), 10));
    assert_eq!(books.last_error.unwrap().text, "Unauthenticated: who are you");
}

#[test]
fn a_request_larger_than_the_server_takes_is_rejected_not_repeated() {
    let server = grpc(GrpcOptions::default());
    // Over the 4 MiB a server takes by default, at some 45 bytes a span.
    let books = export(settings(&url(&server), 110_000), 110_000);
    assert_eq!((dropped(&books, DropCause::Rejected), books.requests), (110_000, 1));
    assert!(books.last_error.unwrap().text.contains("too large"));
}

#[test]
fn a_partial_success_counts_what_was_not_kept() {
    let script = vec![Ok(partial(4, "names too long")), Ok(partial(0, "slow down please"))];
    let server = grpc(GrpcOptions { script, ..GrpcOptions::default() });
    let books = export(settings(&url(&server), 10), 30);
    assert_eq!((figures(&books), dropped(&books, DropCause::Rejected)), ((30, 26, 0, 4), 4));
    assert_eq!(books.last_error.unwrap().text, "slow down please");
}

#[test]
fn tls_is_checked_against_the_given_authority_and_shows_the_own_certificate() {
    let server = grpc(GrpcOptions { mutual_tls: true, ..GrpcOptions::default() });
    let tls = TlsFiles {
        ca: Some(CA.into()),
        client_certificate: Some(CLIENT_CERTIFICATE.into()),
        client_key: Some(CLIENT_KEY.into()),
    };
    let url = format!("grpcs://localhost:{}", server.address.port());
    let books = export(ExportSettings { tls, ..settings(&url, 10) }, 10);
    assert_eq!(figures(&books), (10, 10, 0, 0));
    assert_eq!(next(&server.seen).names, names(0, 10));
}

#[test]
fn a_server_the_authority_does_not_vouch_for_gets_nothing() {
    let server = grpc(GrpcOptions { mutual_tls: true, ..GrpcOptions::default() });
    let tls = TlsFiles { ca: Some(CLIENT_CERTIFICATE.into()), ..TlsFiles::default() };
    let url = format!("grpcs://localhost:{}", server.address.port());
    let mut settings = ExportSettings { tls, ..settings(&url, 10) };
    settings.retry.max_elapsed = Duration::ZERO;
    let books = export(settings, 10);
    assert_eq!(dropped(&books, DropCause::RetriesExhausted), 10);
    assert!(books.last_error.unwrap().text.contains("certificate"));
    assert_eq!(server.seen.try_iter().count(), 0);
}

#[test]
fn a_collector_that_never_answers_is_cut_off_by_the_timeout_and_by_the_grace() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("grpc://{}", silent.local_addr().unwrap());
    let mut impatient = ExportSettings { timeout: Duration::from_millis(20), ..settings(&url, 10) };
    impatient.retry.max_elapsed = Duration::ZERO;
    let books = export(impatient, 10);
    assert_eq!(dropped(&books, DropCause::RetriesExhausted), 10);
    assert_eq!(books.last_error.unwrap().text, "no answer within 20 ms");

    let exporter = Exporter::start(&[settings(&url, 10)], encoder).unwrap();
    exporter.handle().offer(records(0, 25));
    let books = exporter.shutdown(Duration::from_millis(20)).destinations.remove(0);
    assert_eq!(dropped(&books, DropCause::Shutdown), 25);
}

#[test]
fn a_certificate_file_that_is_none_is_named_at_the_start() {
    let missing = TlsFiles { ca: Some("/nonexistent/ca.pem".into()), ..TlsFiles::default() };
    let settings = ExportSettings { tls: missing, ..settings("grpcs://localhost:1", 10) };
    let error = Exporter::start(&[settings], encoder).err().unwrap().to_string();
    assert!(error.starts_with("tls.ca: \"/nonexistent/ca.pem\" is not usable: give a PEM file"), "{error}");
}

#[test]
fn a_collector_that_is_not_there_costs_a_replay_its_spans_but_ends() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = settings(&format!("grpc://{closed}"), 10).for_replay();
    settings.retry.max_elapsed = Duration::from_millis(5);
    let books = export(settings, 40);
    assert_eq!(dropped(&books, DropCause::RetriesExhausted), 40);
    assert!(books.last_error.unwrap().text.contains("refused"));
}
