//! Link layers: which of the registered pcap link types can be read, and the way from a frame to its IP packet.

mod cooked;
mod cooked2;
pub(super) mod ethernet;
mod null;
pub(super) mod ppp;
mod raw;

use super::{Network, Reason, TunnelOptions, ethertype};

/// A link layer the parsers read, by what its frames begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet (LINKTYPE_ETHERNET).
    Ethernet,
    /// An IP packet of either version (LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6).
    Raw,
    /// PPP, with or without its HDLC framing (LINKTYPE_PPP, LINKTYPE_PPP_HDLC).
    Ppp,
    /// The "any" device of Linux (LINKTYPE_LINUX_SLL).
    Cooked,
    /// The "any" device of Linux, second format (LINKTYPE_LINUX_SLL2).
    Cooked2,
    /// An address family in the byte order of the capturing machine, or of the network (LINKTYPE_NULL, LINKTYPE_LOOP).
    Null,
}

/// A link type of a capture that the parsers do not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("link type {number} ({}) is not supported", self.name())]
pub struct UnsupportedLink {
    /// The LINKTYPE value in the capture.
    pub number: u32,
}

impl LinkType {
    /// The link type with this LINKTYPE value (<https://www.tcpdump.org/linktypes.html>).
    ///
    /// 12 and 14 are what raw IP is called in files that carry a system's own DLT value instead.
    ///
    /// # Errors
    /// [`UnsupportedLink`] for every other value.
    pub fn from_number(number: u32) -> Result<LinkType, UnsupportedLink> {
        match number {
            1 => Ok(LinkType::Ethernet),
            12 | 14 | 101 | 228 | 229 => Ok(LinkType::Raw),
            9 | 50 => Ok(LinkType::Ppp),
            113 => Ok(LinkType::Cooked),
            276 => Ok(LinkType::Cooked2),
            0 | 108 => Ok(LinkType::Null),
            number => Err(UnsupportedLink { number }),
        }
    }
}

impl UnsupportedLink {
    /// What the link type is called, for those likely to be met.
    pub fn name(self) -> &'static str {
        match self.number {
            3 => "AX.25",
            6 => "token ring",
            8 => "SLIP",
            10 => "FDDI",
            51 => "PPPoE",
            104 => "Cisco HDLC",
            105 | 119 | 127 | 163 | 192 => "IEEE 802.11",
            107 => "frame relay",
            117 => "OpenBSD pflog",
            147..=162 => "user-defined",
            187 | 201 => "Bluetooth",
            189 | 220 | 249 => "USB",
            195 | 215 | 230 | 283 => "IEEE 802.15.4",
            227 => "CAN",
            239 => "netfilter log",
            240 => "netANALYZER",
            252 => "Wireshark upper PDU",
            253 => "netlink",
            _ => "unknown",
        }
    }
}

/// A frame with its link layer taken off.
pub(super) struct Framed<'a> {
    pub source_mac: Option<[u8; 6]>,
    /// As in [`flowtable::FlowKey::vlans`].
    pub vlans: u32,
    pub network: Network,
    /// From the IP header to the end of the frame.
    pub rest: &'a [u8],
}

/// Takes the link layer off `frame`, and the encapsulations below IP that `options` say are entered.
#[inline]
pub(super) fn parse<'a>(
    link: LinkType,
    frame: &'a [u8],
    options: &TunnelOptions,
) -> Result<Framed<'a>, Reason> {
    match link {
        LinkType::Ethernet => {
            let (header, rest) = ethernet::parse(frame)?;
            typed(Some(header.source), header.ethertype, rest, options)
        }
        LinkType::Cooked => {
            let (header, rest) = cooked::parse(frame)?;
            typed(header.source, header.ethertype, rest, options)
        }
        LinkType::Cooked2 => {
            let (header, rest) = cooked2::parse(frame)?;
            typed(header.source, header.ethertype, rest, options)
        }
        LinkType::Raw => raw::parse(frame).map(|(raw, rest)| untyped(raw.network, rest)),
        LinkType::Ppp => ppp::parse(frame).map(|(ppp, rest)| untyped(ppp.network, rest)),
        LinkType::Null => null::parse(frame).map(|(null, rest)| untyped(null.network, rest)),
    }
}

#[inline]
fn typed<'a>(
    source_mac: Option<[u8; 6]>,
    ethertype: u16,
    rest: &'a [u8],
    options: &TunnelOptions,
) -> Result<Framed<'a>, Reason> {
    let found = ethertype::walk(ethertype, rest, options)?;
    Ok(Framed { source_mac, vlans: found.vlans, network: found.network, rest: found.rest })
}

fn untyped(network: Network, rest: &[u8]) -> Framed<'_> {
    Framed { source_mac: None, vlans: 0, network, rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_that_are_not_read_say_their_name() {
        let error = LinkType::from_number(127).unwrap_err();
        assert_eq!(error.to_string(), "link type 127 (IEEE 802.11) is not supported");
        assert_eq!(LinkType::from_number(9999).unwrap_err().name(), "unknown");
    }
}
