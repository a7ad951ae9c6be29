//! What the encoders have to know besides the record: seeds, the probe's interfaces, the choice of attributes, the resource.

use flowtable::PortId;

use super::attributes::AttributeSelection;
use super::resource::Resource;

/// One port of the probe as spans name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Value of `network.interface.name`: the configured name, else the device's; left out where empty.
    pub name: String,
    /// Value of `network.interface.index`: the kernel's ifindex; `None` where the kernel does not know the port.
    pub index: Option<u32>,
}

/// Settings shared by every encoder of a run.
#[derive(Clone, Debug, Default)]
pub struct SpanSettings {
    /// Key of the trace and span ids; the same seed gives the same ids on every replay.
    pub identity_seed: u64,
    /// Seed of `flow.community_id`; monitors that are to agree use the same one.
    pub community_id_seed: u16,
    /// The interface of each port, indexed by [`PortId`].
    pub interfaces: Vec<Interface>,
    /// Which attributes a span carries.
    pub attributes: AttributeSelection,
    /// One in so many flows is exported; `None` where all are.
    pub sampling_rate: Option<u32>,
    /// What the spans come from.
    pub resource: Resource,
}

impl SpanSettings {
    /// The interface behind `port`; `None` where none was configured.
    pub fn interface(&self, port: PortId) -> Option<&Interface> {
        self.interfaces.get(usize::from(port.0))
    }
}
