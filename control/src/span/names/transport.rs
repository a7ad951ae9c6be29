//! Keywords of IP protocol numbers, IANA "Assigned Internet Protocol Numbers", lowercase.

/// Value of `network.transport`: the keyword, or the number as text where the registry has none.
///
/// `IPv6-ICMP` is written `icmpv6`. A keyword the registry spells with a space keeps it.
pub fn transport(protocol: u8) -> &'static str {
    KEYWORDS[usize::from(protocol)]
}

/// One row for ten numbers.
#[rustfmt::skip]
const KEYWORDS: [&str; 256] = [
    "hopopt", "icmp", "igmp", "ggp", "ipv4", "st", "tcp", "cbt", "egp", "igp",
    "bbn-rcc-mon", "nvp-ii", "pup", "argus", "emcon", "xnet", "chaos", "udp", "mux", "dcn-meas",
    "hmp", "prm", "xns-idp", "trunk-1", "trunk-2", "leaf-1", "leaf-2", "rdp", "irtp", "iso-tp4",
    "netblt", "mfe-nsp", "merit-inp", "dccp", "3pc", "idpr", "xtp", "ddp", "idpr-cmtp", "tp++",
    "il", "ipv6", "sdrp", "ipv6-route", "ipv6-frag", "idrp", "rsvp", "gre", "dsr", "bna",
    "esp", "ah", "i-nlsp", "swipe", "narp", "min-ipv4", "tlsp", "skip", "icmpv6", "ipv6-nonxt",
    "ipv6-opts", "61", "cftp", "63", "sat-expak", "kryptolan", "rvd", "ippc", "68", "sat-mon",
    "visa", "ipcv", "cpnx", "cphb", "wsn", "pvp", "br-sat-mon", "sun-nd", "wb-mon", "wb-expak",
    "iso-ip", "vmtp", "secure-vmtp", "vines", "iptm", "nsfnet-igp", "dgp", "tcf", "eigrp", "ospfigp",
    "sprite-rpc", "larp", "mtp", "ax.25", "ipip", "micp", "scc-sp", "etherip", "encap", "99",
    "gmtp", "ifmp", "pnni", "pim", "aris", "scps", "qnx", "a/n", "ipcomp", "snp",
    "compaq-peer", "ipx-in-ip", "vrrp", "pgm", "114", "l2tp", "ddx", "iatp", "stp", "srp",
    "uti", "smp", "sm", "ptp", "isis over ipv4", "fire", "crtp", "crudp", "sscopmce", "iplt",
    "sps", "pipe", "sctp", "fc", "rsvp-e2e-ignore", "mobility header", "udplite", "mpls-in-ip", "manet", "hip",
    "shim6", "wesp", "rohc", "ethernet", "aggfrag", "nsh", "homa", "bit-emu", "148", "149",
    "150", "151", "152", "153", "154", "155", "156", "157", "158", "159",
    "160", "161", "162", "163", "164", "165", "166", "167", "168", "169",
    "170", "171", "172", "173", "174", "175", "176", "177", "178", "179",
    "180", "181", "182", "183", "184", "185", "186", "187", "188", "189",
    "190", "191", "192", "193", "194", "195", "196", "197", "198", "199",
    "200", "201", "202", "203", "204", "205", "206", "207", "208", "209",
    "210", "211", "212", "213", "214", "215", "216", "217", "218", "219",
    "220", "221", "222", "223", "224", "225", "226", "227", "228", "229",
    "230", "231", "232", "233", "234", "235", "236", "237", "238", "239",
    "240", "241", "242", "243", "244", "245", "246", "247", "248", "249",
    "250", "251", "252", "253", "254", "255",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_stand_at_their_numbers() {
        let known = [
            (0, "hopopt"),
            (1, "icmp"),
            (6, "tcp"),
            (17, "udp"),
            (33, "dccp"),
            (47, "gre"),
            (50, "esp"),
            (51, "ah"),
            (58, "icmpv6"),
            (89, "ospfigp"),
            (103, "pim"),
            (112, "vrrp"),
            (132, "sctp"),
            (136, "udplite"),
            (139, "hip"),
            (143, "ethernet"),
            (147, "bit-emu"),
        ];
        for (number, keyword) in known {
            assert_eq!(transport(number), keyword);
        }
    }

    #[test]
    fn a_number_without_keyword_is_its_own_text() {
        for number in [61, 63, 68, 99, 114, 148, 252, 253, 254, 255] {
            assert_eq!(transport(number), number.to_string());
        }
    }

    #[test]
    fn keywords_are_lowercase_and_unique() {
        let unique: std::collections::BTreeSet<_> = (0..=u8::MAX).map(transport).collect();
        assert_eq!(unique.len(), 256);
        assert!(unique.iter().all(|keyword| !keyword.contains(char::is_uppercase)));
    }
}
