//! The table of attributes against the convention's list, `tests/spec/attributes.csv`.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeMap;
use std::path::Path;

use tapspan::span::attributes::{Level, TABLE, attributes};
use tapspan::span::reference;

/// The one group of the convention a probe on the wire knows nothing of.
const NOT_PRODUCED: &str = "Kubernetes & Application Attributes";

/// What the table has beyond the convention.
const EXTENSIONS: [(&str, &str); 10] = [
    ("flow.tcp.retransmissions", "long"),
    ("flow.tcp.out_of_order", "long"),
    ("flow.tcp.zero_windows", "long"),
    ("flow.tcp.duplicate_acks", "long"),
    ("flow.reverse.tcp.retransmissions", "long"),
    ("flow.reverse.tcp.out_of_order", "long"),
    ("flow.reverse.tcp.zero_windows", "long"),
    ("flow.reverse.tcp.duplicate_acks", "long"),
    ("error.type", "string"),
    ("flow.sampling.rate", "long"),
];

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
fn the_table_is_the_convention_without_what_no_probe_knows_and_with_its_types_levels_and_groups() {
    let convention = convention();
    assert_eq!(convention.len(), 82);
    let expected: BTreeMap<_, _> =
        convention.into_iter().filter(|(_, row)| row.group != NOT_PRODUCED).collect();
    let mut produced = BTreeMap::new();
    for group in TABLE.iter().filter(|group| group.is_of_convention) {
        for attribute in group.attributes {
            let row = Row {
                kind: attribute.type_name().to_owned(),
                level: attribute.level.to_string(),
                group: group.title.to_owned(),
            };
            produced.insert(attribute.key.to_owned(), row);
        }
    }
    assert_eq!(produced, expected);
}

#[test]
fn everything_beyond_the_convention_is_a_recommended_attribute_known_here() {
    let groups: Vec<_> = TABLE.iter().filter(|group| !group.is_of_convention).collect();
    let [group] = groups[..] else { panic!("one group of extensions") };
    let rows: Vec<_> = group.attributes.iter().map(|row| (row.key, row.type_name())).collect();
    assert_eq!(rows, EXTENSIONS);
    assert!(group.attributes.iter().all(|row| row.level == Level::Recommended));
    let convention = convention();
    assert!(EXTENSIONS.iter().all(|(key, _)| !convention.contains_key(*key)));
    assert!(reference().contains("## Extensions\n\nThese go beyond the convention."));
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
