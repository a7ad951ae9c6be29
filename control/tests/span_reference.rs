//! The table of attributes against the convention's list, `tests/spec/attributes.csv`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeMap;
use std::path::Path;

use tapspan::span::attributes::{TABLE, attributes};
use tapspan::span::reference;

/// Rows of the convention that no record gives a value for yet.
const NOT_PRODUCED: [&str; 49] = [
    "flow.tcp.handshake.snd.latency",
    "flow.tcp.handshake.snd.jitter",
    "flow.tcp.handshake.cnd.latency",
    "flow.tcp.handshake.cnd.jitter",
    "flow.tcp.svc.latency",
    "flow.tcp.svc.jitter",
    "flow.tcp.rndtrip.latency",
    "flow.tcp.rndtrip.jitter",
    "tunnel.type",
    "tunnel.source.address",
    "tunnel.source.port",
    "tunnel.destination.address",
    "tunnel.destination.port",
    "tunnel.network.transport",
    "tunnel.network.type",
    "tunnel.id",
    "tunnel.key",
    "tunnel.sender_index",
    "tunnel.receiver_index",
    "tunnel.spi",
    "source.k8s.cluster.name",
    "source.k8s.namespace.name",
    "source.k8s.node.name",
    "source.k8s.pod.name",
    "source.k8s.container.name",
    "source.k8s.deployment.name",
    "source.k8s.replicaset.name",
    "source.k8s.statefulset.name",
    "source.k8s.daemonset.name",
    "source.k8s.job.name",
    "source.k8s.cronjob.name",
    "source.k8s.service.name",
    "destination.k8s.cluster.name",
    "destination.k8s.namespace.name",
    "destination.k8s.node.name",
    "destination.k8s.pod.name",
    "destination.k8s.container.name",
    "destination.k8s.deployment.name",
    "destination.k8s.replicaset.name",
    "destination.k8s.statefulset.name",
    "destination.k8s.daemonset.name",
    "destination.k8s.job.name",
    "destination.k8s.cronjob.name",
    "destination.k8s.service.name",
    "network.policy.ingress",
    "network.policy.egress",
    "process.executable.name",
    "container.image.name",
    "container.name",
];

/// Groups whose every row must be produced.
const COMPLETE: [&str; 3] = ["General Flow Attributes", "L2-L4 Attributes", "Flow Metrics"];

/// What the convention says of one attribute.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    kind: String,
    level: String,
    group: String,
}

fn convention() -> BTreeMap<String, Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spec/attributes.csv");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(parse).collect()
}

fn parse(line: &str) -> (String, Row) {
    let [key, kind, level, _registry, group] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
    (key.to_owned(), Row { kind: kind.to_owned(), level: level.to_owned(), group: group.to_owned() })
}

#[test]
fn every_row_of_the_table_has_the_conventions_type_level_and_group() {
    let convention = convention();
    for group in &TABLE {
        for attribute in group.attributes {
            let row = Row {
                kind: attribute.type_name().to_owned(),
                level: attribute.level.to_string(),
                group: group.title.to_owned(),
            };
            assert_eq!(convention.get(attribute.key), Some(&row), "{}", attribute.key);
        }
    }
}

#[test]
fn every_attribute_of_the_convention_is_produced_or_listed_as_not_produced() {
    let convention = convention();
    assert_eq!(convention.len(), 82);
    for key in convention.keys() {
        let produced = attributes().any(|attribute| attribute.key == key);
        let listed = NOT_PRODUCED.contains(&key.as_str());
        assert!(produced != listed, "{key}: produced {produced}, listed as not produced {listed}");
    }
    assert_eq!(attributes().count() + NOT_PRODUCED.len(), convention.len());
}

#[test]
fn general_l2_to_l4_and_metrics_are_complete() {
    for (key, row) in convention() {
        if COMPLETE.contains(&row.group.as_str()) {
            assert!(attributes().any(|attribute| attribute.key == key), "{key}");
        }
    }
}

#[test]
fn the_reference_page_has_one_row_for_each_attribute() {
    let page = reference();
    for attribute in attributes() {
        let rows: Vec<_> =
            page.lines().filter(|line| line.starts_with(&format!("| `{}` |", attribute.key))).collect();
        let [row] = rows[..] else { panic!("{} rows for {}", rows.len(), attribute.key) };
        for cell in [attribute.type_name(), &attribute.level.to_string(), attribute.doc] {
            assert!(row.contains(cell), "{row} lacks {cell}");
        }
        assert_eq!(row.matches('|').count(), 6, "{row}");
    }
}
