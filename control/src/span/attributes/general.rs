//! General flow attributes: the flow's id, who began it, where its connection stands, why the record was cut.

use super::{Attribute, Level, Reads};
use crate::span::community_id;

pub(super) static ATTRIBUTES: [Attribute; 4] = [
    Attribute::short(
        "flow.community_id",
        Level::Required,
        "Community ID v1 of the flow's 5-tuple, the same for both directions and in other monitors.",
        |view, window| {
            Some(community_id::write(&view.record.key, view.settings.community_id_seed, window))
        },
    ),
    Attribute::text(
        "flow.initiator",
        Level::Required,
        "Which side started the conversation: `source` or `destination`.",
        |view| Some(view.record.initiator.as_str()),
    )
    .reading(Reads::Outcome),
    Attribute::text(
        "flow.connection.state",
        Level::Conditional("tcp"),
        "TCP state (RFC 9293) of the initiator's endpoint when the record was cut.",
        |view| view.record.tcp.as_ref().map(|tcp| tcp.state.as_str()),
    )
    .reading(Reads::Outcome),
    Attribute::text(
        "flow.end_reason",
        Level::Required,
        "Why the record was cut: `idle_timeout`, `active_timeout`, `end_of_flow_detected`, `forced_end` or `lack_of_resources`.",
        |view| Some(view.record.end_reason.as_str()),
    )
    .reading(Reads::Outcome),
];
