//! What is measured: a row each. To add one, add a row; where no family measures it yet, a variant of [`Measure`] as well.

use crate::frames::Shape;
use crate::measure::churn::Rate;
use crate::measure::peers::Peer;
use crate::measure::rx::{Family, Kind};

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
}

impl Mark {
    /// Whether `value` reaches it.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Mark::AtLeast(mark) => value >= mark,
            Mark::AtMost(mark) => value <= mark,
        }
    }
}

/// Which family measures a row; rows of the same one are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Packets a second of one worker beside its ceiling.
    Rx(Family),
    /// Flows that come and go.
    Churn(Rate),
    /// Allocations while they do.
    Allocations(Rate),
    /// A SYN flood against a full table.
    SynFlood,
    /// Flows chosen to collide.
    Collisions,
    /// Two workers over one.
    TwoWorkers,
    /// Following TCP over not following it.
    TcpCost,
    /// How long a worker is away from its ring.
    Away,
    /// Sweeps: their length and what the worker pays.
    Sweep,
    /// What the machine itself takes.
    Limits,
    /// Memory of a flow.
    Memory,
    /// A generator writing into a ring.
    Ring,
    /// Records to bytes.
    Encode,
    /// Records to a receiver.
    Export,
    /// A capture read to its end.
    Replay,
    /// Another program on the same capture.
    Peer(Peer),
}

/// When a row is measured without being asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// With `--quick` too.
    Quick,
    /// By default.
    Default,
    /// With `--peers`.
    Peers,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The figure's name, in the list for programs too.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it has to reach.
    pub mark: Option<Mark>,
    /// What it is compared with.
    pub beside: &'static str,
    /// What measures it.
    pub by: Measure,
    /// When.
    pub when: When,
}

const fn family(name: &'static str, flows: u32, kind: Kind) -> Measure {
    Measure::Rx(Family { name, flows, kind })
}

const TCP: Kind = Kind::Random(Shape::Tcp);
const RX_10K: Measure = family("rx_64B_10k_flows", 10_000, TCP);
const RX_64K: Measure = family("rx_64B_64k_flows", 64_000, TCP);
const RX_1M: Measure = family("rx_64B_1M_flows", 1_000_000, TCP);
const RX_4M: Measure = family("rx_64B_4M_flows", 4_000_000, TCP);
const RX_10M: Measure = family("rx_64B_10M_flows", 10_000_000, TCP);
const RX_ZIPF: Measure = family("rx_64B_1M_flows_zipf", 1_000_000, Kind::Zipf);
const RX_IPV6: Measure = family("rx_ipv6_1M", 1_000_000, Kind::Random(Shape::Ipv6));
const RX_VXLAN: Measure = family("rx_vxlan_1M", 1_000_000, Kind::Random(Shape::Vxlan));
const RX_VLAN: Measure = family("rx_vlan_1M", 1_000_000, Kind::Random(Shape::Vlan));
const RX_UDP: Measure = family("rx_udp_1M", 1_000_000, Kind::Random(Shape::Udp));
const RX_IMIX: Measure = family("rx_imix_64k", 64_000, Kind::Imix);
const NEW_100K: Rate = Rate { name: "rx_64B_1M_flows_100k_new", flows: 1_000_000, new_per_second: 100_000 };
const NEW_1M: Rate = Rate { name: "rx_64B_10M_flows_1M_new", flows: 10_000_000, new_per_second: 1_000_000 };

const CEILING: &str = "_ceiling, _parsed, _ratio of the same rounds";
const BASE: &str = "_base: rx_64B_1M_flows in turn";
const TAPSPAN: &str = "tapspan in turn, one processor each, spans as protobuf; _json_ratio: as JSON";

const fn row(
    name: &'static str,
    what: &'static str,
    unit: &'static str,
    mark: Option<Mark>,
    beside: &'static str,
    by: Measure,
    when: When,
) -> Scenario {
    Scenario { name, what, unit, mark, beside, by, when }
}

const fn least(mark: f64) -> Option<Mark> {
    Some(Mark::AtLeast(mark))
}

const fn most(mark: f64) -> Option<Mark> {
    Some(Mark::AtMost(mark))
}

/// All rows, in the order they are measured and printed.
#[rustfmt::skip]
pub const SCENARIOS: &[Scenario] = &[
    row("rx_64B_10k_flows", "one worker, TCP, 64 B, 10 k flows in random order", "Mpps", least(35.0), CEILING, RX_10K, When::Quick),
    row("rx_64B_64k_flows", "64 k flows", "Mpps", least(30.0), CEILING, RX_64K, When::Quick),
    row("rx_64B_1M_flows", "1 M flows", "Mpps", least(20.0), CEILING, RX_1M, When::Quick),
    row("rx_64B_1M_flows_ratio", "worker over ceiling", "ratio", least(0.55), "same port, burst loop and headers read, no table", RX_1M, When::Quick),
    row("rx_64B_4M_flows", "4 M flows", "Mpps", least(18.0), CEILING, RX_4M, When::Quick),
    row("rx_64B_10M_flows", "10 M flows", "Mpps", least(15.0), CEILING, RX_10M, When::Default),
    row("rx_64B_1M_flows_zipf", "1 M flows, few of them busy (Zipf, s = 1)", "Mpps", None, CEILING, RX_ZIPF, When::Default),
    row("rx_64B_1M_flows_100k_new", "1 M flows, 100 k new ones a second, swept and exported", "Mpps", least(18.0), "_opened: new flows/s reached", Measure::Churn(NEW_100K), When::Default),
    row("worker_allocs", "allocations of the worker's thread after start, flows coming and going", "allocations", most(0.0), "", Measure::Allocations(NEW_100K), When::Default),
    row("rx_64B_10M_flows_1M_new", "10 M flows, 1 M new ones a second", "Mpps", least(10.0), "_opened: new flows/s reached", Measure::Churn(NEW_1M), When::Default),
    row("rx_synflood_ratio", "SYN flood, table full, over 1 M flows", "ratio", least(0.4), BASE, Measure::SynFlood, When::Default),
    row("rx_1M_colliding_ratio", "flows that collide in RSS and unseeded hashes, over random ones", "ratio", least(0.8), BASE, Measure::Collisions, When::Default),
    row("rx_ipv6_1M", "TCP in IPv6, 1 M flows", "Mpps", least(17.0), CEILING, RX_IPV6, When::Default),
    row("rx_vxlan_1M", "TCP in IPv4 in VXLAN, 1 M inner flows", "Mpps", least(14.0), CEILING, RX_VXLAN, When::Default),
    row("rx_vlan_1M", "TCP in IPv4 behind one tag, 1 M flows", "Mpps", least(18.0), CEILING, RX_VLAN, When::Default),
    row("rx_udp_1M", "UDP in IPv4, 64 B, 1 M flows", "Mpps", None, CEILING, RX_UDP, When::Default),
    row("rx_imix_64k_gbps", "IMIX 7:4:1 of 64, 594, 1518 B, 64 k flows, payload not touched", "Gbit/s", least(85.0), "_ceiling, _parsed, _ratio in Mpps", RX_IMIX, When::Default),
    row("rx_two_workers_ratio", "two workers on two queues over one, 1 M flows each", "ratio", least(1.8), "rx_one_worker in turn", Measure::TwoWorkers, When::Default),
    row("tcp_metrics_cost", "request/response with TCP latencies tracked over not", "ratio", most(1.10), "tcp_metrics_untimed_ns", Measure::TcpCost, When::Default),
    row("tcp_followed_cost", "the same with all of TCP followed over nothing", "ratio", None, "the same packets as UDP", Measure::TcpCost, When::Default),
    row("burst_p9999_us", "worker away from its ring, 99.99 of 100 times less", "us", most(100.0), "burst_bare_loop_max_us", Measure::Away, When::Default),
    row("burst_max_us", "the longest of all runs", "us", most(275.0), "burst_waited_us, burst_bare_loop_max_us", Measure::Away, When::Default),
    row("burst_bare_loop_max_us", "a loop that only reads the clock away from it, longest of all runs", "us", None, "", Measure::Away, When::Default),
    row("bytes_per_flow", "all of the table's memory, default settings, IPv4 and IPv6 alike", "B", most(256.0), "_without_details", Measure::Memory, When::Default),
    row("sweep_1M_ms", "a sweep that looks at 1 M live flows, worker at work", "ms", most(60.0), "", Measure::Sweep, When::Default),
    row("sweep_cost", "worker slowed by sweeping", "%", most(3.0), "sweep_slower: during a sweep", Measure::Sweep, When::Default),
    row("ring_64k_flows", "a generator on the other processor writes into net_ring: limited by the generator", "Mpps", None, "ring_64k_generator", Measure::Ring, When::Default),
    row("limit_chase_1MiB_ns", "an access to memory that waits for the one before, random lines of 1 MiB", "ns", None, "", Measure::Limits, When::Default),
    row("limit_chase_16MiB_ns", "16 MiB", "ns", None, "", Measure::Limits, When::Default),
    row("limit_chase_128MiB_ns", "128 MiB, about the hot lines of 1 M flows", "ns", None, "", Measure::Limits, When::Default),
    row("limit_chase_1GiB_ns", "1 GiB", "ns", None, "", Measure::Limits, When::Default),
    row("limit_chase_pages_ns", "one line in each of 65,536 pages of 4 KiB", "ns", None, "limit_chase_lines_ns", Measure::Limits, When::Default),
    row("limit_chase_lines_ns", "65,536 lines side by side", "ns", None, "limit_chase_pages_ns", Measure::Limits, When::Default),
    row("limit_lookup_10k_ns", "the memory of a TCP packet alone, prefetched in groups, 10 k flows", "ns", None, "", Measure::Limits, When::Default),
    row("limit_lookup_64k_ns", "64 k flows", "ns", None, "", Measure::Limits, When::Default),
    row("limit_lookup_1M_ns", "1 M flows", "ns", None, "", Measure::Limits, When::Default),
    row("limit_lookup_10M_ns", "10 M flows", "ns", None, "", Measure::Limits, When::Default),
    row("limit_work_ns", "320 operations on integers, four chains, no memory", "ns", None, "", Measure::Limits, When::Default),
    row("limit_lookup_work_1M_ns", "both for each packet", "ns", None, "limit_lookup_1M_ns, limit_work_ns", Measure::Limits, When::Default),
    row("encode_spans_per_s", "records to OTLP bytes, one core", "spans/s", least(2.5e6), "", Measure::Encode, When::Quick),
    row("export_spans_per_s", "records queued to acknowledged by gRPC, exporter on one core", "spans/s", least(600e3), "", Measure::Export, When::Default),
    row("export_zstd_spans_per_s", "the same with zstd", "spans/s", least(400e3), "export_gzip_spans_per_s", Measure::Export, When::Default),
    row("export_gzip_spans_per_s", "the same with gzip", "spans/s", None, "export_zstd_spans_per_s", Measure::Export, When::Default),
    row("export_bytes_per_span", "octets a span as sent with zstd", "B", None, "encode_bytes_per_span", Measure::Export, When::Default),
    row("replay_mpps", "tapspan replay of 4 M packets, 200 k flows, spans to a file as JSON", "Mpps", least(5.0), "replay_spans", Measure::Replay, When::Default),
    row("replay_protobuf_mpps", "the same with the file in protobuf", "Mpps", None, "replay_mpps in turn", Measure::Replay, When::Default),
    row("peer_softflowd_ratio", "replay over softflowd", "ratio", least(10.0), TAPSPAN, Measure::Peer(Peer::Softflowd), When::Peers),
    row("peer_nfpcapd_ratio", "replay over nfpcapd", "ratio", least(10.0), TAPSPAN, Measure::Peer(Peer::Nfpcapd), When::Peers),
    row("peer_argus_ratio", "replay over argus", "ratio", least(10.0), TAPSPAN, Measure::Peer(Peer::Argus), When::Peers),
];

/// Which rows are wanted.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Rows up to this.
    pub when: When,
    /// Beginnings or whole names; all where empty.
    pub only: Vec<String>,
}

impl Choice {
    /// Whether `scenario` is wanted. A whole name wants that row alone.
    pub fn wants(&self, scenario: &Scenario) -> bool {
        if self.only.is_empty() {
            return scenario.when <= self.when;
        }
        self.only.iter().any(|wanted| {
            let exact = SCENARIOS.iter().any(|other| other.name == wanted);
            if exact { scenario.name == wanted } else { scenario.name.starts_with(wanted.as_str()) }
        })
    }

    /// Those of the names that no row has or begins with.
    pub fn unknown(&self) -> Vec<&str> {
        let known = |wanted: &String| SCENARIOS.iter().any(|row| row.name.starts_with(wanted.as_str()));
        self.only.iter().filter(|wanted| !known(wanted)).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn wanted(when: When, only: &[&str]) -> Vec<&'static str> {
        let choice = Choice { when, only: only.iter().map(|&name| name.to_owned()).collect() };
        SCENARIOS.iter().filter(|row| choice.wants(row)).map(|row| row.name).collect()
    }

    #[test]
    fn no_two_rows_have_a_name() {
        let names: HashSet<_> = SCENARIOS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
    }

    #[test]
    fn a_whole_name_wants_that_row_and_a_beginning_all_that_have_it() {
        assert_eq!(wanted(When::Default, &["sweep_cost"]), ["sweep_cost"]);
        assert_eq!(wanted(When::Default, &["sweep"]), ["sweep_1M_ms", "sweep_cost"]);
        assert_eq!(wanted(When::Default, &["rx_64B_1M_flows"]), ["rx_64B_1M_flows"]);
        assert_eq!(wanted(When::Default, &["peer_argus"]), ["peer_argus_ratio"]);
        assert!(!wanted(When::Default, &[]).contains(&"peer_argus_ratio"));
        assert!(wanted(When::Peers, &[]).contains(&"peer_argus_ratio"));
        assert_eq!(wanted(When::Quick, &[]).len(), 6);
        let nothing = Choice { when: When::Default, only: vec!["tx".to_owned()] };
        assert_eq!(nothing.unknown(), ["tx"]);
    }

    #[test]
    fn marks_are_met_from_their_side() {
        assert!(Mark::AtLeast(2.0).is_met(2.0) && !Mark::AtLeast(2.0).is_met(1.9));
        assert!(Mark::AtMost(2.0).is_met(2.0) && !Mark::AtMost(2.0).is_met(2.1));
    }
}
