//! Live flows for the endpoint, read from the tables without disturbing the workers.

use flowtable::{LiveFlow, Nanos, Observer};

use crate::http::model::{Flow, FlowCounters, FlowEnd, FlowList, Timestamp};
use crate::http::query::{FlowFigures, FlowQuery, Top};
use crate::span::names;

/// The flows `query` wants, out of the tables of all workers.
pub(super) fn list<'a>(
    observers: impl Iterator<Item = &'a Observer>,
    query: &FlowQuery,
    now: Nanos,
) -> FlowList {
    let mut top = Top::new(query.limit);
    let mut live = 0;
    for (worker, observer) in (0..).zip(observers) {
        observer.visit(|flow| {
            live += 1;
            if query.filter.matches(&flow.key) {
                top.offer(query.sort.rank(&figures(flow)), || describe(flow, worker, now));
            }
        });
    }
    let matched = top.offered();
    FlowList { live, matched, flows: top.into_sorted() }
}

fn figures(flow: &LiveFlow) -> FlowFigures {
    FlowFigures {
        bytes: flow.bytes.iter().sum(),
        packets: flow.packets.iter().sum(),
        first_seen_ns: flow.first_seen.0,
        last_seen_ns: flow.last_seen.0,
    }
}

fn describe(flow: &LiveFlow, worker: u32, now: Nanos) -> Flow {
    let end = |direction| {
        let end = flow.key.sender(direction);
        FlowEnd { address: flow.key.ip(end.address), port: end.port }
    };
    let counters = |side: usize| FlowCounters { packets: flow.packets[side], bytes: flow.bytes[side] };
    #[expect(clippy::cast_possible_truncation, reason = "12 bits each")]
    let vlans = [flow.key.vlans >> 12 & 0xfff, flow.key.vlans & 0xfff].map(|vlan| vlan as u16);
    Flow {
        source: end(flow.forward),
        destination: end(flow.forward.flipped()),
        transport: names::transport(flow.key.protocol).to_string(),
        vlans: vlans.into_iter().filter(|vlan| *vlan != 0).collect(),
        forward: counters(0),
        reverse: counters(1),
        first_seen: Timestamp(flow.first_seen),
        last_seen: Timestamp(flow.last_seen),
        age_ns: now.since(flow.first_seen),
        idle_ns: now.since(flow.last_seen),
        state: flow.tcp_state.map(|state| state.as_str().to_owned()),
        worker,
    }
}
