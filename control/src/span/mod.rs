//! What a span says: the table of attributes, the identity of flows and records, and the encoders that turn records into
//! bytes. Pure but for [`HostFacts::of_this_machine`]: no clock, no network, no threads.

pub mod attributes;
pub mod community_id;
pub mod encode;
pub mod identity;
pub mod in_place;
pub mod names;
pub mod resource;
mod settings;
mod short_text;

pub use attributes::{AttributeSelection, RecordView, reference};
pub use encode::{Format, SpanEncoder};
pub use resource::{HostFacts, Resource, ResourceSources};
pub use settings::{Interface, SpanSettings};
pub use short_text::ShortText;
