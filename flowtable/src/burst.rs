//! The packets of one burst with what only some of them carry beside the common part. Taken once, used again for each burst.

use crate::brief::{Brief, PlainPacket, Rest};
use crate::key::Family;
use crate::packet::{Packet, Quote, TcpSegment};
use crate::tunnel::Tunnel;

/// Packets on their way to [`crate::Writer::update`]. Allocates only where it is pushed beyond its capacity.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    /// One for each packet, and places for more.
    briefs: Vec<Brief>,
    len: usize,
    /// Of the packets that are more than their briefs.
    rests: Vec<Rest>,
    tunnels: Vec<Tunnel>,
    /// Each with the packets that were there when it came.
    quotes: Vec<(usize, Quote)>,
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

impl Burst {
    /// An empty burst with room for `packets`, each of them in a tunnel and quoting another.
    pub fn with_capacity(packets: usize) -> Burst {
        Burst {
            briefs: vec![Brief::NOTHING; packets],
            len: 0,
            rests: Vec::with_capacity(packets),
            tunnels: Vec::with_capacity(packets),
            quotes: Vec::with_capacity(packets),
        }
    }

    /// Where the brief of the next packet is to be written; `None` where there is no room without growing.
    #[inline(always)]
    pub fn place(&mut self) -> Option<Place<'_>> {
        let Burst { briefs, len, .. } = self;
        briefs.get_mut(*len).map(|brief| Place { brief, len })
    }

    /// Adds a plain packet in IPv6, from the first of `addresses` to the second; `tcp` is all zero for other protocols.
    #[inline(always)]
    pub fn push_plain_ipv6(
        &mut self,
        addresses: [u128; 2],
        flow_label: u32,
        tcp: TcpSegment,
        packet: &PlainPacket,
    ) {
        let (rest, swapped) = Rest::of_plain(Family::V6, addresses, (0, 0), flow_label, tcp.flags, packet);
        self.push_plain_wide(rest, swapped, tcp, packet);
    }

    /// Adds a plain packet in IPv4 and the outermost tunnel it came in, which is part of its key.
    #[inline(always)]
    pub fn push_plain_in(
        &mut self,
        tunnel: &Tunnel,
        addresses: [u128; 2],
        tcp: TcpSegment,
        packet: &PlainPacket,
    ) {
        self.tunnels.push(*tunnel);
        let place = u32::try_from(self.tunnels.len()).unwrap_or(0);
        let tunnel = (tunnel.key_word(), place);
        let (rest, swapped) = Rest::of_plain(Family::V4, addresses, tunnel, 0, tcp.flags, packet);
        self.push_plain_wide(rest, swapped, tcp, packet);
    }

    #[inline(always)]
    fn push_plain_wide(&mut self, rest: Rest, swapped: bool, tcp: TcpSegment, packet: &PlainPacket) {
        self.rests.push(rest);
        let rest = u32::try_from(self.rests.len()).unwrap_or(0);
        if self.len == self.briefs.len() {
            self.briefs.push(Brief::NOTHING);
        }
        if let Some(brief) = self.briefs.get_mut(self.len) {
            brief.set_tcp(tcp);
            brief.set_plain_wide(rest, swapped, packet);
            self.len += 1;
        }
    }

    /// Adds a packet outside tunnels.
    #[inline(always)]
    pub fn push(&mut self, packet: Packet) {
        self.rests.push(Rest::of(&packet));
        let place = u32::try_from(self.rests.len()).unwrap_or(0);
        let brief = Brief::of(&packet, place);
        match self.briefs.get_mut(self.len) {
            Some(vacant) => *vacant = brief,
            None => self.briefs.push(brief),
        }
        self.len += 1;
    }

    /// Adds a packet and the outermost tunnel it came in.
    #[inline(always)]
    pub fn push_in(&mut self, tunnel: Tunnel, packet: Packet) {
        self.tunnels.push(tunnel);
        let place = u32::try_from(self.tunnels.len()).unwrap_or(0);
        self.push(Packet { tunnel: place, ..packet });
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

    /// Whether more than half of the packets are more than their briefs.
    #[inline]
    pub(crate) fn is_mostly_more(&self) -> bool {
        2 * self.rests.len() > self.len
    }

    /// The rest of the packet with this brief, if it is more than that.
    #[inline]
    pub(crate) fn rest(&self, brief: &Brief) -> Option<&Rest> {
        self.rests.get((brief.rest as usize).wrapping_sub(1))
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
        self.len = 0;
        // Few bursts have any.
        if !self.rests.is_empty() {
            self.rests.clear();
            self.tunnels.clear();
        }
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
