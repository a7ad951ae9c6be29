//! The packets of one burst with what only some of them carry beside the common part. Taken once, used again for each burst.

use crate::brief::{Brief, PlainPacket, Rest};
use crate::packet::{Packet, Quote, TcpSegment};
use crate::tunnel::{PlainVxlan, Tunnel};

/// Packets on their way to [`crate::Writer::update`]. Allocates only where it is pushed beyond its capacity.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    /// One for each packet, and places for more.
    briefs: Vec<Brief>,
    len: usize,
    /// As many; what is in them is of packets that are more than their briefs.
    rests: Vec<Rest>,
    /// As many; of packets in tunnels.
    tunnels: Vec<Outer>,
    /// Each with the packets that were there when it came.
    quotes: Vec<(usize, Quote)>,
}

/// The outermost tunnel of a packet.
#[derive(Clone, Copy, Debug)]
enum Outer {
    Any(Tunnel),
    Vxlan(PlainVxlan),
}

impl Outer {
    /// A place for one.
    const NOTHING: Outer = Outer::Vxlan(PlainVxlan { addresses: 0, ports: 0, vni: 0 });
}

/// A place in a burst for one more packet.
#[derive(Debug)]
pub struct Place<'a> {
    /// To be written before [`Place::push`].
    pub brief: &'a mut Brief,
    len: &'a mut usize,
}

impl Place<'_> {
    /// Adds the packet to the burst.
    #[inline(always)]
    pub fn push(self) {
        *self.len += 1;
    }
}

/// A place in a burst for a packet with a wide key.
#[derive(Debug)]
pub struct WidePlace<'a> {
    brief: &'a mut Brief,
    rest: &'a mut Rest,
    tunnel: &'a mut Outer,
    len: &'a mut usize,
}

impl WidePlace<'_> {
    /// Fills in the TCP header, all zero for other protocols: before the packet is pushed.
    #[inline(always)]
    pub fn set_tcp(&mut self, tcp: TcpSegment) {
        self.brief.set_tcp(tcp);
    }

    /// Adds a plain packet in IPv6, from the first of `addresses` to the second.
    #[inline(always)]
    pub fn push_ipv6(self, addresses: [u128; 2], flow_label: u32, packet: &PlainPacket) {
        let number = number(*self.len);
        self.brief.set_plain_ipv6((self.rest, number), addresses, flow_label, packet);
        *self.len += 1;
    }

    /// Adds a plain packet in IPv4 and the outermost tunnel it came in, which is part of its key; `addresses` has the source in the
    /// upper half.
    #[inline(always)]
    pub fn push_in(self, tunnel: PlainVxlan, addresses: u64, packet: &PlainPacket) {
        *self.tunnel = Outer::Vxlan(tunnel);
        let number = number(*self.len);
        self.brief.set_plain_in((self.rest, number), tunnel.key_word(), addresses, packet);
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
    /// An empty burst with room for `packets`, each of them in a tunnel and quoting another.
    pub fn with_capacity(packets: usize) -> Burst {
        Burst {
            briefs: vec![Brief::NOTHING; packets],
            len: 0,
            rests: vec![Rest::NOTHING; packets],
            tunnels: vec![Outer::NOTHING; packets],
            quotes: Vec::with_capacity(packets),
        }
    }

    /// Where the brief of the next packet is to be written; `None` where there is no room without growing.
    #[inline(always)]
    pub fn place(&mut self) -> Option<Place<'_>> {
        let Burst { briefs, len, .. } = self;
        briefs.get_mut(*len).map(|brief| Place { brief, len })
    }

    /// The same for a packet with a wide key.
    #[inline(always)]
    pub fn wide_place(&mut self) -> Option<WidePlace<'_>> {
        let Burst { briefs, len, rests, tunnels, .. } = self;
        let (brief, rest) = (briefs.get_mut(*len)?, rests.get_mut(*len)?);
        Some(WidePlace { brief, rest, tunnel: tunnels.get_mut(*len)?, len })
    }

    /// Adds a packet outside tunnels.
    #[inline]
    pub fn push(&mut self, packet: Packet) {
        if self.len == self.briefs.len() {
            self.grow();
        }
        let number = number(self.len);
        if let Some(WidePlace { brief, rest, len, .. }) = self.wide_place() {
            *rest = Rest::of(&packet);
            *brief = Brief::of(&packet, number);
            *len += 1;
        }
    }

    /// Adds a packet and the outermost tunnel it came in.
    #[inline]
    pub fn push_in(&mut self, tunnel: Tunnel, packet: Packet) {
        if self.len == self.briefs.len() {
            self.grow();
        }
        self.tunnels[self.len] = Outer::Any(tunnel);
        self.push(Packet { tunnel: number(self.len), ..packet });
    }

    #[cold]
    fn grow(&mut self) {
        self.briefs.push(Brief::NOTHING);
        self.rests.push(Rest::NOTHING);
        self.tunnels.push(Outer::NOTHING);
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

    /// The rest of the packet with this brief, if it is more than that.
    #[inline]
    pub(crate) fn rest(&self, brief: &Brief) -> Option<&Rest> {
        self.rests.get((brief.rest as usize).wrapping_sub(1))
    }

    /// The tunnel of one of its packets.
    #[inline]
    pub fn tunnel_of(&self, packet: &Packet) -> Option<Tunnel> {
        match self.tunnels.get((packet.tunnel as usize).wrapping_sub(1))? {
            Outer::Any(tunnel) => Some(*tunnel),
            Outer::Vxlan(plain) => Some(Tunnel::from(*plain)),
        }
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
