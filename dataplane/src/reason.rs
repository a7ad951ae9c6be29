//! Why a packet is not in a flow, and what was wrong with one that is. One variant is one counter.

/// Declares an enum of counters: a variant, the layer and the reason as metric label values, and one sentence of help.
macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $layer:literal, $reason:literal, $help:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $help] $variant,)+
        }

        impl $name {
            /// Every variant, in the order of its number.
            pub const ALL: &[$name] = &[$($name::$variant,)+];
            /// How many counters there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The protocol layer at fault, as a metric label value.
            pub fn layer(self) -> &'static str {
                match self { $($name::$variant => $layer,)+ }
            }

            /// What was wrong at that layer, as a metric label value.
            pub fn reason(self) -> &'static str {
                match self { $($name::$variant => $reason,)+ }
            }

            /// One sentence for people.
            pub fn help(self) -> &'static str {
                match self { $($name::$variant => $help,)+ }
            }

            /// The place of this counter in an array of [`Self::COUNT`].
            #[inline]
            pub fn index(self) -> usize {
                usize::from(self as u8)
            }
        }
    };
}

counters! {
    /// Why a packet is in no flow. Every packet received is in exactly one flow or under exactly one of these.
    Reason {
        LinkTruncated => "link", "truncated", "The frame ends inside its link-layer header.";
        LinkNotIp => "link", "not_ip", "The link-layer header names a protocol other than IP.";
        LinkTooDeep => "link", "too_deep", "More link-layer headers follow each other than are followed.";
        EthernetTruncated => "ethernet", "truncated", "The frame ends inside the Ethernet header.";
        Arp => "ethernet", "arp", "An ARP or RARP packet.";
        Llc => "ethernet", "llc", "An IEEE 802.2 LLC frame that does not carry IP (spanning tree, CDP, IS-IS).";
        LlcTruncated => "ethernet", "llc_truncated", "The frame ends inside the IEEE 802.2 LLC or SNAP header.";
        OtherEthertype => "ethernet", "other_ethertype", "An Ethernet type that is not IP, nor one that leads to IP.";
        VlanTruncated => "vlan", "truncated", "The frame ends inside a VLAN tag.";
        VlanTooDeep => "vlan", "too_deep", "The frame carries more VLAN tags than are followed.";
        PbbTruncated => "pbb", "truncated", "The frame ends inside an IEEE 802.1ah backbone tag.";
        Mpls => "mpls", "not_decapsulated", "An MPLS packet, where these are not to be decapsulated.";
        MplsTruncated => "mpls", "truncated", "The frame ends inside the MPLS label stack or the control word behind it.";
        MplsTooDeep => "mpls", "too_deep", "The MPLS label stack has more labels than are followed.";
        MplsNotIp => "mpls", "not_ip", "An MPLS packet that carries neither IP nor an Ethernet frame.";
        Pppoe => "pppoe", "not_decapsulated", "A PPPoE frame, where these are not to be decapsulated.";
        PppoeTruncated => "pppoe", "truncated", "The frame ends inside the PPPoE header or the PPP protocol field.";
        PppoeBadHeader => "pppoe", "bad_header", "A PPPoE header of another version, or with a code that does not carry data.";
        PppoeDiscovery => "pppoe", "discovery", "A PPPoE frame that opens or closes a session.";
        PppoeControl => "pppoe", "not_ip", "A PPPoE frame of a PPP protocol other than IP.";
        IpVersionUnknown => "ip", "bad_version", "A packet on a link without types whose IP version is neither 4 nor 6.";
        Ipv4Truncated => "ipv4", "truncated", "The frame ends inside the IPv4 header.";
        Ipv4BadVersion => "ipv4", "bad_version", "A packet announced as IPv4 whose version field is not 4.";
        Ipv4BadHeaderLength => "ipv4", "bad_header_length", "The IPv4 header claims to be shorter than 20 octets.";
        Ipv4BadTotalLength => "ipv4", "bad_total_length", "The IPv4 total length is shorter than the header.";
        Ipv6Truncated => "ipv6", "truncated", "The frame ends inside the IPv6 header.";
        Ipv6BadVersion => "ipv6", "bad_version", "A packet announced as IPv6 whose version field is not 6.";
        TableFull => "table", "full", "The flow table had no room for a new flow.";
        OwnTraffic => "own", "export", "The probe's own export, which opens no flow.";
        Filtered => "filter", "capture", "A frame that the capture filter does not let pass.";
        Duplicate => "ip", "duplicate", "A packet that was taken in already, within the window for duplicates.";
    }
}

counters! {
    /// What was wrong with a packet that is in a flow all the same: its IP header could be read, what follows could not.
    ///
    /// Counted beside the flow, never instead of it.
    Anomaly {
        Ipv4BeyondFrame => "ipv4", "length_beyond_frame", "The IPv4 total length is longer than the frame.";
        Ipv6BeyondFrame => "ipv6", "length_beyond_frame", "The IPv6 payload length is longer than the frame.";
        FragmentBeyondEnd => "ip", "fragment_beyond_end", "A fragment that ends behind the longest packet IP can have.";
        Ipv6ExtensionCut => "ipv6", "extension_truncated", "An IPv6 extension header is cut short.";
        Ipv6BadOption => "ipv6", "bad_option", "An option of an IPv6 extension header runs beyond the packet.";
        Ipv6TooManyExtensions => "ipv6", "too_many_extensions", "More IPv6 extension headers follow each other than are followed.";
        TcpCut => "tcp", "truncated", "The TCP header is cut short.";
        TcpBadHeaderLength => "tcp", "bad_header_length", "The TCP data offset is below 5 or beyond the IP packet.";
        UdpCut => "udp", "truncated", "The UDP header is cut short.";
        UdpBadLength => "udp", "bad_length", "The UDP length is below 8 or beyond the IP packet.";
        SctpCut => "sctp", "truncated", "The SCTP common header is cut short.";
        IcmpCut => "icmp", "truncated", "The ICMP header is cut short.";
        Icmpv6Cut => "icmpv6", "truncated", "The ICMPv6 header is cut short.";
        FragmentOverlap => "fragment", "overlap", "A fragment with octets that another part of its datagram had brought.";
        FragmentOrphan => "fragment", "orphan", "A later fragment counted in a port-0 flow, as its first part did not come.";
        FragmentTableFull => "fragment", "table_full", "A fragment that took the room of an older datagram, given up early.";
    }
}

impl Reason {
    /// Whether the packet broke a rule of its protocol, as opposed to being something flows are not made of.
    pub fn malformed(self) -> bool {
        !matches!(
            self,
            Self::LinkNotIp
                | Self::Arp
                | Self::Llc
                | Self::OtherEthertype
                | Self::Mpls
                | Self::MplsNotIp
                | Self::Pppoe
                | Self::PppoeDiscovery
                | Self::PppoeControl
                | Self::TableFull
                | Self::OwnTraffic
                | Self::Filtered
                | Self::Duplicate
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_counter_has_its_own_labels_and_place() {
        let labels: HashSet<_> = Reason::ALL.iter().map(|r| (r.layer(), r.reason())).collect();
        assert_eq!(labels.len(), Reason::COUNT);
        assert!(Reason::ALL.iter().enumerate().all(|(place, reason)| reason.index() == place));
        let labels: HashSet<_> = Anomaly::ALL.iter().map(|a| (a.layer(), a.reason())).collect();
        assert_eq!(labels.len(), Anomaly::COUNT);
        assert!(Anomaly::ALL.iter().enumerate().all(|(place, anomaly)| anomaly.index() == place));
    }

    #[test]
    fn labels_are_snake_case() {
        let labels = Reason::ALL.iter().flat_map(|r| [r.layer(), r.reason()]);
        for label in labels.chain(Anomaly::ALL.iter().flat_map(|a| [a.layer(), a.reason()])) {
            assert!(
                label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{label}"
            );
        }
    }
}
