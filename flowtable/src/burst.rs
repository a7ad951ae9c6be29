//! The packets of one burst with what only some of them carry beside the common part. Taken once, used again for each burst.

use crate::brief::{Brief, Outer, Rest};
use crate::key_words::Addresses;
use crate::packet::{Packet, PortId, Quote};
use crate::time::Nanos;
use crate::tunnel::Tunnel;

/// Packets on their way to [`crate::Writer::update`]. Allocates only where it is pushed beyond its capacity.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    /// One for each packet, and places for more.
    briefs: Vec<Brief>,
    len: usize,
    /// As many; what is in them is of packets that are more than their briefs.
    rests: Vec<Rest>,
    /// Each with the packets that were there when it came.
    quotes: Vec<(usize, Quote)>,
}

/// A place in a burst for the brief of one more packet.
#[derive(Debug)]
pub struct Place<'a> {
    /// To be written before [`Place::push`].
    pub brief: &'a mut Brief,
    len: &'a mut usize,
}

/// A place in a burst for one more packet that is more than its brief.
#[derive(Debug)]
pub struct WholePlace<'a> {
    /// To be written before [`WholePlace::push`].
    pub brief: &'a mut Brief,
    /// Likewise.
    pub rest: &'a mut Rest,
    len: &'a mut usize,
}

impl Place<'_> {
    /// Adds the packet to the burst.
    #[inline(always)]
    pub fn push(self) {
        *self.len += 1;
    }
}

impl WholePlace<'_> {
    /// Adds the packet to the burst.
    #[inline(always)]
    pub fn push(self) {
        *self.len += 1;
    }
}

/// The number, from 1, of what lies at `place`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a burst is short")]
fn number(place: usize) -> u32 {
    place as u32 + 1
}

impl Burst {
    /// An empty burst with room for `packets`, each of them quoting another.
    pub fn with_capacity(packets: usize) -> Burst {
        Burst {
            briefs: vec![Brief::NOTHING; packets],
            len: 0,
            rests: vec![Rest::NOTHING; packets],
            quotes: Vec::with_capacity(packets),
        }
    }

    /// Where the brief of the next packet is to be written; `None` where there is no room without growing.
    #[inline(always)]
    pub fn place(&mut self) -> Option<Place<'_>> {
        let Burst { briefs, len, .. } = self;
        briefs.get_mut(*len).map(|brief| Place { brief, len })
    }

    /// The same of a packet that is more than its brief, received on `port` at `at`.
    #[inline(always)]
    pub fn whole_place(&mut self, at: Nanos, port: PortId) -> Option<WholePlace<'_>> {
        let Burst { briefs, rests, len, .. } = self;
        let (brief, rest) = (briefs.get_mut(*len)?, rests.get_mut(*len)?);
        brief.begin(at, port);
        brief.set_rest(number(*len));
        Some(WholePlace { brief, rest, len })
    }

    /// Adds a packet outside tunnels.
    #[inline]
    pub fn push(&mut self, packet: Packet) {
        self.put(&packet, None);
    }

    /// Adds a packet and the outermost tunnel it came in.
    #[inline]
    pub fn push_in(&mut self, tunnel: Tunnel, packet: Packet) {
        self.put(&packet, Some(tunnel));
    }

    fn put(&mut self, packet: &Packet, tunnel: Option<Tunnel>) {
        let brief = Brief::of(packet, tunnel.is_some(), number(self.len));
        let rest = Rest::of(packet, tunnel);
        match (self.briefs.get_mut(self.len), self.rests.get_mut(self.len)) {
            (Some(place), Some(beside)) => (*place, *beside) = (brief, rest),
            _ => {
                self.briefs.push(brief);
                self.rests.push(rest);
            }
        }
        self.len += 1;
    }

    /// Adds what an ICMP error says of another flow. It is said behind the packets pushed before it.
    pub fn push_quote(&mut self, quote: Quote) {
        self.quotes.push((self.len, quote));
    }

    /// Packets in the burst.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packets, in the order they came.
    pub fn packets(&self) -> impl ExactSizeIterator<Item = Packet> + '_ {
        self.briefs().iter().map(|brief| self.packet(brief))
    }

    #[inline]
    pub(crate) fn briefs(&self) -> &[Brief] {
        &self.briefs[..self.len]
    }

    /// The whole of the packet with this brief.
    #[inline]
    pub(crate) fn packet(&self, brief: &Brief) -> Packet {
        brief.unfold(self.rest(brief))
    }

    /// The addresses in the key of the packet with this brief.
    #[inline]
    pub(crate) fn addresses(&self, brief: &Brief) -> Addresses {
        brief.key_addresses(self.rest(brief))
    }

    /// The rest of the packet with this brief, if it is more than that.
    #[inline]
    pub(crate) fn rest(&self, brief: &Brief) -> Option<&Rest> {
        self.rests.get((brief.rest as usize).wrapping_sub(1))
    }

    /// The tunnel of one of its packets.
    #[inline]
    pub fn tunnel_of(&self, packet: &Packet) -> Option<Tunnel> {
        let rest = self.rests.get((packet.tunnel as usize).wrapping_sub(1))?;
        Some(match rest.outer {
            Outer::Any(tunnel) => tunnel,
            Outer::Vxlan(plain) => plain.into(),
        })
    }

    /// What the burst's ICMP errors say, each with the number of packets before it.
    #[inline]
    pub fn quotes(&self) -> &[(usize, Quote)] {
        &self.quotes
    }

    /// Back to empty; keeps its memory.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
        self.quotes.clear();
    }
}

impl FromIterator<Packet> for Burst {
    fn from_iter<I: IntoIterator<Item = Packet>>(packets: I) -> Burst {
        let mut burst = Burst::default();
        packets.into_iter().for_each(|packet| burst.push(packet));
        burst
    }
}

impl From<Packet> for Burst {
    fn from(packet: Packet) -> Burst {
        Burst::from_iter([packet])
    }
}
