//! Which live flows are wanted: the query of `/api/v1/flows`, its filter and its order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use flowtable::{FlowKey, protocol};
use ipnet::IpNet;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use crate::filter::{network, transport};

/// Flows in an answer unless the query says otherwise.
pub const DEFAULT_LIMIT: usize = 50;
/// Most flows in an answer.
pub const MAX_LIMIT: usize = 1000;

/// Which live flows, in which order, how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowQuery {
    /// Most flows wanted, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Which come first.
    pub sort: FlowSort,
    /// Which are wanted at all.
    pub filter: FlowFilter,
}

impl Default for FlowQuery {
    fn default() -> FlowQuery {
        FlowQuery { limit: DEFAULT_LIMIT, sort: FlowSort::default(), filter: FlowFilter::default() }
    }
}

/// The query as the API describes it; read by [`FlowQuery::read`].
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "describes the query for the OpenAPI document; the reader names the parameter at fault"
)]
pub(super) struct FlowParameters {
    /// Most flows in the answer.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// Which come first.
    #[param(inline)]
    sort: Option<FlowSort>,
    /// Address or network of either end.
    #[param(example = "192.0.2.0/24")]
    address: Option<String>,
    /// Port of either end; protocols without ports have none.
    #[param(example = 443)]
    port: Option<u16>,
    /// Name or number of the transport protocol.
    #[param(example = "tcp")]
    transport: Option<String>,
}

impl FlowQuery {
    /// Reads the parameters of a query. Empty values count as not given.
    pub(super) fn read(parameters: Vec<(String, String)>) -> Result<FlowQuery, ApiError> {
        let mut query = FlowQuery::default();
        for (name, value) in parameters.into_iter().filter(|(_, value)| !value.is_empty()) {
            let wrong = |expected: &str| ApiError::query(&name, format!("{name}={value}: {expected}"));
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    query.limit = limit.ok_or_else(|| wrong("expected 1 to 1000"))?;
                }
                "sort" => {
                    let expected = "expected bytes, packets, last_seen or start";
                    query.sort = FlowSort::from_name(&value).ok_or_else(|| wrong(expected))?;
                }
                "address" => {
                    let expected = "expected an address or network, such as 192.0.2.1 or 2001:db8::/32";
                    query.filter.network = Some(network(&value).ok_or_else(|| wrong(expected))?);
                }
                "port" => {
                    query.filter.port = Some(value.parse().map_err(|_| wrong("expected 0 to 65535"))?);
                }
                "transport" => {
                    let expected = "expected a name such as tcp, udp or icmp, or a protocol number up to 255";
                    query.filter.protocol = Some(transport(&value).ok_or_else(|| wrong(expected))?);
                }
                _ => {
                    return Err(wrong("no such parameter; expected limit, sort, address, port or transport"));
                }
            }
        }
        Ok(query)
    }
}

/// Which flows come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowSort {
    /// Most bytes, both ways together.
    #[default]
    Bytes,
    /// Most packets, both ways together.
    Packets,
    /// Latest packet last received.
    LastSeen,
    /// Latest first packet: the newest flows.
    Start,
}

/// What a flow is ordered by.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowFigures {
    /// Octets both ways.
    pub bytes: u64,
    /// Packets both ways.
    pub packets: u64,
    /// First packet, ns since the epoch.
    pub first_seen_ns: u64,
    /// Latest packet, ns since the epoch.
    pub last_seen_ns: u64,
}

impl FlowSort {
    fn from_name(name: &str) -> Option<FlowSort> {
        match name {
            "bytes" => Some(FlowSort::Bytes),
            "packets" => Some(FlowSort::Packets),
            "last_seen" => Some(FlowSort::LastSeen),
            "start" => Some(FlowSort::Start),
            _ => None,
        }
    }

    /// The figure that decides; the greater comes first.
    pub fn rank(self, figures: &FlowFigures) -> u64 {
        match self {
            FlowSort::Bytes => figures.bytes,
            FlowSort::Packets => figures.packets,
            FlowSort::LastSeen => figures.last_seen_ns,
            FlowSort::Start => figures.first_seen_ns,
        }
    }
}

/// Which flows are wanted; what is `None` lets all through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// Either end is in this network.
    pub network: Option<IpNet>,
    /// Either end has this port.
    pub port: Option<u16>,
    /// IP protocol number.
    pub protocol: Option<u8>,
}

impl FlowFilter {
    /// Whether a flow with `key` is wanted. Allocates nothing.
    pub fn matches(&self, key: &FlowKey) -> bool {
        let has_ports = !matches!(key.protocol, protocol::ICMP | protocol::ICMPV6);
        self.protocol.is_none_or(|protocol| protocol == key.protocol)
            && self.port.is_none_or(|port| has_ports && (port == key.lo_port || port == key.hi_port))
            && self.network.is_none_or(|network| {
                network.contains(&key.ip(key.lo_address)) || network.contains(&key.ip(key.hi_address))
            })
    }
}

/// Keeps the `limit` items of the highest rank out of any number, in memory for `limit`.
#[derive(Debug)]
pub struct Top<T> {
    limit: usize,
    offered: u64,
    // The least rank on top. The number of the offer breaks ties, so that items are never compared.
    heap: BinaryHeap<Ranked<T>>,
}

#[derive(Debug)]
struct Ranked<T> {
    order: Reverse<(u64, Reverse<u64>)>,
    item: T,
}

impl<T> Top<T> {
    /// For the first `limit` items.
    pub fn new(limit: usize) -> Top<T> {
        Top { limit, offered: 0, heap: BinaryHeap::with_capacity(limit + 1) }
    }

    /// Takes an item of `rank` if it is among the best so far; `item` is made only then.
    pub fn offer(&mut self, rank: u64, item: impl FnOnce() -> T) {
        let order = Reverse((rank, Reverse(self.offered)));
        self.offered += 1;
        if self.heap.len() >= self.limit && self.heap.peek().is_some_and(|least| order >= least.order) {
            return;
        }
        self.heap.push(Ranked { order, item: item() });
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Items offered.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// The items kept, highest rank first, earlier offers first where ranks are equal.
    pub fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec().into_iter().map(|ranked| ranked.item).collect()
    }
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Ranked<T>) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Ranked<T> {}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Ranked<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Ranked<T>) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

#[cfg(test)]
mod tests {
    use flowtable::{Endpoint, Family};

    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<FlowQuery, ApiError> {
        FlowQuery::read(query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn key(transport: u8) -> FlowKey {
        let near = Endpoint { address: 0x0a00_0001, port: 40_000 };
        let far = Endpoint { address: 0xc000_0201, port: 443 };
        FlowKey::canonical(Family::V4, transport, near, far).0
    }

    #[test]
    fn an_empty_query_is_the_fifty_flows_with_most_bytes() {
        assert_eq!(read(&[]).unwrap(), FlowQuery::default());
        assert_eq!(read(&[("address", "")]).unwrap(), FlowQuery::default());
    }

    #[test]
    fn a_filter_looks_at_both_ends_and_ignores_the_pseudo_ports_of_icmp() {
        let matches =
            |query: &[(&str, &str)], transport| read(query).unwrap().filter.matches(&key(transport));
        assert!(matches(
            &[("address", "192.0.2.0/24"), ("port", "443"), ("transport", "tcp")],
            protocol::TCP
        ));
        assert!(matches(&[("address", "10.0.0.1"), ("port", "40000"), ("transport", "6")], protocol::TCP));
        assert!(!matches(&[("address", "10.0.0.2")], protocol::TCP));
        assert!(!matches(&[("transport", "udp")], protocol::TCP));
        assert!(!matches(&[("port", "443")], protocol::ICMP));
    }

    #[test]
    fn the_top_keeps_the_highest_ranks_and_makes_only_what_it_keeps() {
        let mut top = Top::new(3);
        let mut made = 0;
        for (item, rank) in [5, 1, 9, 7, 9, 2].into_iter().enumerate() {
            top.offer(rank, || {
                made += 1;
                item
            });
        }
        assert_eq!((top.offered(), made), (6, 5));
        assert_eq!(top.into_sorted(), [2, 4, 3]);
    }
}
