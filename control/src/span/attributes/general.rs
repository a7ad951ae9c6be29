//! General flow attributes: the flow's id, who began it, where its connection stands, why the record was cut.

use super::{Attribute, Level, Text};
use crate::span::community_id::community_id;

pub(super) static ATTRIBUTES: [Attribute; 4] = [
    Attribute::text(
        "flow.community_id",
        Level::Required,
        "Community ID v1 of the flow's 5-tuple, the same for both directions and in other monitors.",
        |view| Some(Text::Short(community_id(&view.record.key, view.settings.community_id_seed))),
    ),
    Attribute::text(
        "flow.initiator",
        Level::Required,
        "Which side started the conversation: `source` or `destination`.",
        |view| Some(Text::Borrowed(view.record.initiator.as_str())),
    ),
    Attribute::text(
        "flow.connection.state",
        Level::Conditional("tcp"),
        "TCP state (RFC 9293) of the initiator's endpoint when the record was cut.",
        |view| view.record.tcp.as_ref().map(|tcp| Text::Borrowed(tcp.state.as_str())),
    ),
    Attribute::text(
        "flow.end_reason",
        Level::Required,
        "Why the record was cut: `idle_timeout`, `active_timeout`, `end_of_flow_detected`, `forced_end` or `lack_of_resources`.",
        |view| Some(Text::Borrowed(view.record.end_reason.as_str())),
    ),
];
