//! The control endpoint through a real loopback listener, with a program of fixed figures behind it.

mod http_support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use http_support::{Endpoint, FixedPlane};
use serde_json::{Value, json};
use tapspan::http::{METRICS, MetricUnit, PATHS, listen};

#[tokio::test]
async fn every_route_of_the_table_answers() {
    let endpoint = Endpoint::start().await;
    for (path, methods) in PATHS {
        for method in *methods {
            let body = (*method == "patch").then_some("{}");
            let answer = endpoint.request(&method.to_uppercase(), path, &[], body).await;
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_openapi_document_lists_every_route_and_no_other() {
    let document = Endpoint::start().await.get("/api/v1/openapi.json").await.json();
    let documented: BTreeMap<&str, BTreeSet<&str>> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, methods)| {
            (path.as_str(), methods.as_object().unwrap().keys().map(String::as_str).collect())
        })
        .collect();
    let served: BTreeMap<&str, BTreeSet<&str>> =
        PATHS.iter().map(|(path, methods)| (*path, methods.iter().copied().collect())).collect();
    assert_eq!(documented, served);
}

#[tokio::test]
async fn the_openapi_document_defines_every_schema_it_refers_to() {
    let answer = Endpoint::start().await.get("/api/v1/openapi.json").await;
    let document = answer.json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let references =
        answer.text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in references {
        assert!(schemas.contains_key(name), "{name} in {:?}", schemas.keys());
    }
    assert!(schemas.contains_key("Ledger") && schemas.contains_key("TimeoutsPatch"));
    let summaries =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    assert!(summaries.into_iter().all(|operation| operation["summary"].is_string()));
}

#[tokio::test]
async fn the_answers_have_the_documented_shape() {
    let endpoint = Endpoint::start().await;
    let status = endpoint.get("/api/v1/status").await.json();
    assert_eq!(status["mode"], "live");
    assert_eq!(status["phase"], "running");
    assert_eq!(status["started_at"], "2026-01-31T12:00:00.000000001Z");
    assert_eq!(status["memory"]["flow_tables_bytes"], 1_000_000);

    let port = endpoint.get("/api/v1/ports").await.json()[0].clone();
    assert_eq!((&port["name"], &port["mac"]), (&json!("uplink"), &json!("02:00:00:00:00:01")));
    assert_eq!(port["link"], json!({"up": true, "speed_mbps": 10_000, "duplex": "full"}));
    assert_eq!(port["rss"]["symmetric"], true);
    assert!(port.get("numa_node").is_none(), "what is not known is absent");

    let worker = endpoint.get("/api/v1/workers").await.json()[0].clone();
    assert_eq!((&worker["core"], &worker["queues"][0]), (&json!(2), &json!({"port": "uplink", "queue": 0})));

    let ledger = endpoint.get("/api/v1/ledger").await.json();
    assert_eq!(ledger["balanced"], true);
    assert_eq!(ledger["not_in_flows"], json!([{"layer": "ipv4", "reason": "truncated", "packets": 10}]));
    assert_eq!(ledger["records"]["destinations"][0]["dropped"], json!([{"cause": "queue_full", "spans": 1}]));

    let latency = endpoint.get("/api/v1/latency").await.json();
    assert_eq!(latency["burst"]["p999_ns"], 4000);
    assert_eq!(latency["export"]["count"], 0);

    let answer = endpoint.get("/api/v1/timeouts").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["idle_timeout"]["tcp"], "2m");
}

#[tokio::test]
async fn health_is_200_when_well_and_503_when_not() {
    let endpoint = Endpoint::start().await;
    assert_eq!(endpoint.get("/healthz").await.status, 200);
    assert_eq!(endpoint.get("/readyz").await.status, 200);
    endpoint.plane.set_ready(false);
    let answer = endpoint.get("/readyz").await;
    assert_eq!((answer.status, &answer.json()["ok"]), (503, &json!(false)));
    assert_eq!(answer.json()["checks"][0]["name"], "ports");
    assert_eq!(endpoint.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn flows_are_filtered_sorted_and_cut_to_length() {
    let endpoint = Endpoint::start().await;
    let ports = async |query: &str| -> (u64, Vec<u64>) {
        let list = endpoint.get(&format!("/api/v1/flows{query}")).await.json();
        let flows = list["flows"].as_array().unwrap();
        let ports = flows.iter().map(|flow| flow["source"]["port"].as_u64().unwrap()).collect();
        (list["matched"].as_u64().unwrap(), ports)
    };
    assert_eq!(ports("").await, (3, vec![1003, 1002, 1001]), "most bytes first");
    assert_eq!(ports("?sort=packets&limit=1").await, (3, vec![1001]));
    assert_eq!(ports("?sort=start").await, (3, vec![1002, 1003, 1001]));
    assert_eq!(ports("?address=10.0.0.0/31").await, (1, vec![1001]));
    assert_eq!(ports("?address=10.0.0.3&port=443&transport=tcp").await, (1, vec![1003]));
    assert_eq!(ports("?port=1002").await, (1, vec![1002]));
    assert_eq!(ports("?transport=17").await, (0, vec![]));
}

#[tokio::test]
async fn a_bad_query_is_400_and_names_its_parameter() {
    let endpoint = Endpoint::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=many", "limit"),
        ("sort=size", "sort"),
        ("address=300.1.1.1", "address"),
        ("address=10.0.0.0/33", "address"),
        ("port=65536", "port"),
        ("transport=carrier-pigeon", "transport"),
        ("colour=red", "colour"),
    ] {
        let answer = endpoint.get(&format!("/api/v1/flows?{query}")).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, error["field"].as_str()), (400, Some(field)), "{query}");
        assert!(error["message"].as_str().unwrap().contains("expected"), "{error}");
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_gives_and_is_in_force_afterwards() {
    let endpoint = Endpoint::start().await;
    let before = endpoint.get("/api/v1/timeouts").await.json();
    let answer = endpoint.patch(r#"{"active_timeout": "5s", "idle_timeout": {"udp": "250ms"}}"#).await;
    let mut expected = before;
    expected["active_timeout"] = json!("5s");
    expected["idle_timeout"]["udp"] = json!("250ms");
    assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    assert_eq!(endpoint.get("/api/v1/timeouts").await.json(), expected);
    let whole = endpoint.patch(&expected.to_string()).await;
    assert_eq!(whole.json(), expected, "what GET gives can be given back");
}

#[tokio::test]
async fn a_bad_patch_names_its_key_and_changes_nothing() {
    let endpoint = Endpoint::start().await;
    let before = endpoint.get("/api/v1/timeouts").await.json();
    for (body, status, field) in [
        (r#"{"active_timeout": "0s"}"#, 422, json!("active_timeout")),
        (r#"{"active_timeout": "25h"}"#, 422, json!("active_timeout")),
        (r#"{"active_timeout": 60}"#, 422, json!("active_timeout")),
        (r#"{"active_timeout": "5s", "idle_timeout": {"udp": "soon"}}"#, 422, json!("idle_timeout.udp")),
        (r#"{"actve_timeout": "5s"}"#, 422, json!("actve_timeout")),
        (r#"{"idle_timeout": {"quic": "5s"}}"#, 422, json!("idle_timeout.quic")),
        (r#"["5s"]"#, 422, Value::Null),
        (r#"{"active_timeout": null}"#, 422, json!("active_timeout")),
        (r#"{"active_timeout": "5s"} {}"#, 400, Value::Null),
        (r#"{"active_timeout": "#, 400, Value::Null),
        ("", 400, Value::Null),
    ] {
        let answer = endpoint.patch(body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["field"]),
            (status, &field),
            "{body}: {}",
            answer.text
        );
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(endpoint.request("PATCH", "/api/v1/timeouts", &form, Some("{}")).await.status, 415);
    let long = format!("{{\"active_timeout\": \"{}\"}}", " ".repeat(70_000));
    assert_eq!(endpoint.patch(&long).await.status, 413);
    assert_eq!(endpoint.get("/api/v1/timeouts").await.json(), before);
}

#[tokio::test]
async fn a_flush_tells_how_many_records_it_cut() {
    let endpoint = Endpoint::start().await;
    let answer = endpoint.request("POST", "/api/v1/flush", &[], None).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"records": 3})));
    endpoint.plane.set_ready(false);
    let answer = endpoint.request("POST", "/api/v1/flush", &[], None).await;
    assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (503, Some("stopping")));
}

#[tokio::test]
async fn an_unknown_route_or_method_is_answered_in_json() {
    let endpoint = Endpoint::start().await;
    let answer = endpoint.get("/api/v1/nothing").await;
    assert_eq!((answer.status, &answer.json()["error"]["field"]), (404, &Value::Null));
    let answer = endpoint.request("DELETE", "/api/v1/timeouts", &[], None).await;
    assert_eq!(answer.status, 405);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("DELETE"));
    assert!(
        answer.header("allow").is_some_and(|allow| allow.contains("PATCH")),
        "{:?}",
        answer.header("allow")
    );
    assert_eq!(endpoint.get("/api/v1/flush").await.status, 405);
}

#[tokio::test]
async fn web_pages_of_other_origins_are_kept_out() {
    let endpoint = Endpoint::start().await;
    let rebound = [("host", "evil.example")];
    assert_eq!(endpoint.request("GET", "/api/v1/flows", &rebound, None).await.status, 403);
    let foreign = [("origin", "https://evil.example")];
    assert_eq!(endpoint.request("POST", "/api/v1/flush", &foreign, None).await.status, 403);
    let own = format!("http://{}", endpoint.address);
    assert_eq!(endpoint.request("POST", "/api/v1/flush", &[("origin", &own)], None).await.status, 200);
}

#[tokio::test]
async fn metrics_are_text_that_prometheus_reads() {
    let answer = Endpoint::start().await.get("/metrics").await;
    assert!(
        answer.header("content-type").is_some_and(|media| media.starts_with("application/openmetrics-text"))
    );
    assert!(answer.text.ends_with("# EOF\n"));
    let families = families(&answer.text);
    assert_eq!(families.len(), METRICS.len(), "each name once");
    for family in &families {
        assert!(!family.help.is_empty() && family.help.ends_with('.'), "{family:?}");
        for sample in &family.samples {
            let name = sample.split(['{', ' ']).next().unwrap();
            let suffix = if family.kind == "counter" { "_total" } else { "" };
            assert_eq!(name, format!("{}{suffix}", family.name));
            let value: f64 = sample.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value >= 0.0, "{sample}");
        }
    }
    for metric in METRICS.iter().filter(|metric| metric.unit != MetricUnit::None) {
        assert!(
            families.iter().any(|family| family.name.starts_with(&format!("{}_", metric.name))),
            "{}",
            metric.name
        );
    }
    for sample in [
        r#"tapspan_port_rx_packets_total{port="uplink"} 1000"#,
        r#"tapspan_ledger_not_in_flows_packets_total{layer="ipv4",reason="truncated"} 10"#,
        r#"tapspan_export_dropped_spans_total{destination="file:a\"b\\c",cause="queue_full"} 1"#,
        r#"tapspan_latency_seconds{stage="burst",quantile="0.999"} 0.000004"#,
        r#"tapspan_table_live_flows{worker="0"} 3"#,
        "tapspan_ledger_balanced 1",
    ] {
        assert!(
            answer.text.lines().any(|line| line == sample || line == format!("{sample}.0")),
            "{sample} in\n{}",
            answer.text
        );
    }
}

#[derive(Debug, Default)]
struct Family {
    name: String,
    help: String,
    kind: String,
    samples: Vec<String>,
}

/// The families of a text, each with HELP and TYPE before its samples.
fn families(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                assert!(families.iter().all(|family| family.name != name), "{name} twice");
                families.push(Family { name: name.into(), help: help.into(), ..Family::default() });
            }
            (Some("#"), Some(word), Some(name), Some(value)) => {
                let family = families.last_mut().expect("HELP comes first");
                assert_eq!(family.name, name);
                if word == "TYPE" {
                    family.kind = value.into();
                }
            }
            _ => families.last_mut().expect("HELP comes first").samples.push(line.into()),
        }
    }
    families
}

#[tokio::test]
async fn a_slow_answer_holds_up_no_other_request() {
    let endpoint = Endpoint::start().await;
    let held = endpoint.plane.hold_latency().await;
    let slow = tokio::spawn({
        let address = endpoint.address;
        async move { http_support::request(address, "GET", "/api/v1/latency", &[], None).await.status }
    });
    assert_eq!(endpoint.get("/healthz").await.status, 200);
    drop(held);
    assert_eq!(slow.await.unwrap(), 200);
}

#[tokio::test]
async fn serving_ends_with_the_shutdown() {
    let endpoint = Endpoint::start().await;
    assert_eq!(endpoint.get("/healthz").await.status, 200);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_port_already_taken_is_one_line_with_address_and_setting() {
    let first = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = first.local_addr().unwrap();
    let message = listen(address).await.unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("http.listen = \"{address}\": Address already in use")),
        "{message}"
    );
    assert!(message.contains("--http") && !message.contains('\n'), "{message}");
}

#[test]
fn the_plane_can_be_shared() {
    fn shared<T: Send + Sync + ?Sized>(_: &Arc<T>) {}
    shared(&Arc::new(FixedPlane::default()));
}
