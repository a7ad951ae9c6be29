//! The packets of one burst with what only some of them carry beside the common part. Taken once, used again for each burst.

use crate::packet::{Packet, Quote};
use crate::tunnel::Tunnel;

/// Packets on their way to [`crate::Writer::update_burst`]. Allocates only where it is pushed beyond its capacity.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    packets: Vec<Packet>,
    tunnels: Vec<Tunnel>,
    /// Each with the packets that were there when it came.
    quotes: Vec<(usize, Quote)>,
}

impl Burst {
    /// An empty burst with room for `packets`, each of them in a tunnel and quoting another.
    pub fn with_capacity(packets: usize) -> Burst {
        Burst {
            packets: Vec::with_capacity(packets),
            tunnels: Vec::with_capacity(packets),
            quotes: Vec::with_capacity(packets),
        }
    }

    /// Adds a packet outside tunnels.
    #[inline]
    pub fn push(&mut self, packet: Packet) {
        self.packets.push(packet);
    }

    /// Adds a packet and the outermost tunnel it came in.
    pub fn push_in(&mut self, tunnel: Tunnel, packet: Packet) {
        self.tunnels.push(tunnel);
        let place = u32::try_from(self.tunnels.len()).unwrap_or(0);
        self.packets.push(Packet { tunnel: place, ..packet });
    }

    /// Adds what an ICMP error says of another flow. It is said behind the packets pushed before it.
    pub fn push_quote(&mut self, quote: Quote) {
        self.quotes.push((self.packets.len(), quote));
    }

    /// Packets in the burst.
    #[inline]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The packets, in the order they came.
    #[inline]
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// The packets, to be changed in place: the benchmarks' clock.
    pub fn packets_mut(&mut self) -> &mut [Packet] {
        &mut self.packets
    }

    /// The tunnels its packets came in.
    #[inline]
    pub(crate) fn tunnels(&self) -> &[Tunnel] {
        &self.tunnels
    }

    /// The tunnel of one of its packets.
    pub fn tunnel_of(&self, packet: &Packet) -> Option<&Tunnel> {
        packet.tunnel_among(&self.tunnels)
    }

    /// What the burst's ICMP errors say, each with the number of packets before it.
    #[inline]
    pub fn quotes(&self) -> &[(usize, Quote)] {
        &self.quotes
    }

    /// Back to empty; keeps its memory.
    #[inline]
    pub fn clear(&mut self) {
        self.packets.clear();
        self.tunnels.clear();
        self.quotes.clear();
    }
}

impl FromIterator<Packet> for Burst {
    fn from_iter<I: IntoIterator<Item = Packet>>(packets: I) -> Burst {
        Burst { packets: packets.into_iter().collect(), ..Burst::default() }
    }
}

impl From<Packet> for Burst {
    fn from(packet: Packet) -> Burst {
        Burst::from_iter([packet])
    }
}
