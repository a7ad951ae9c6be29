//! Names from the IP header: version, DSCP, ECN.

use flowtable::Family;

/// Value of `network.type`.
pub fn network_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// Name of a DSCP in the IANA registry "Differentiated Services Field Codepoints", lowercase.
///
/// Class selectors RFC 2474 (0 is `cs0`, the default), assured forwarding RFC 2597, `ef` RFC 3246, `voice-admit` RFC 5865,
/// `le` RFC 8622.
pub fn dscp(codepoint: u8) -> Option<&'static str> {
    let name = match codepoint {
        0 => "cs0",
        1 => "le",
        8 => "cs1",
        10 => "af11",
        12 => "af12",
        14 => "af13",
        16 => "cs2",
        18 => "af21",
        20 => "af22",
        22 => "af23",
        24 => "cs3",
        26 => "af31",
        28 => "af32",
        30 => "af33",
        32 => "cs4",
        34 => "af41",
        36 => "af42",
        38 => "af43",
        40 => "cs5",
        44 => "voice-admit",
        46 => "ef",
        48 => "cs6",
        56 => "cs7",
        _ => return None,
    };
    Some(name)
}

/// Name of an ECN codepoint, RFC 3168 §5, lowercase. Only the lower two bits count.
pub fn ecn(codepoint: u8) -> &'static str {
    match codepoint & 0b11 {
        0b00 => "not-ect",
        0b01 => "ect(1)",
        0b10 => "ect(0)",
        _ => "ce",
    }
}
