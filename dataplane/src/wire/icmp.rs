//! ICMP header, RFC 792. Gives type and code, and which types answer each other (Community ID v1).

use super::Anomaly;
use flowtable::Role;

/// Type, code and checksum; what follows depends on the type.
const HEADER_LEN: usize = 4;

/// Types that belong to an exchange (IANA "ICMP Parameters").
mod kind {
    pub(crate) const ECHO_REPLY: u8 = 0;
    pub(crate) const ECHO: u8 = 8;
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 9;
    pub(crate) const ROUTER_SOLICITATION: u8 = 10;
    pub(crate) const TIMESTAMP: u8 = 13;
    pub(crate) const TIMESTAMP_REPLY: u8 = 14;
    pub(crate) const INFORMATION: u8 = 15;
    pub(crate) const INFORMATION_REPLY: u8 = 16;
    pub(crate) const MASK: u8 = 17;
    pub(crate) const MASK_REPLY: u8 = 18;
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Icmp {
    pub kind: u8,
    pub code: u8,
}

/// Parses the octets behind the IP header.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<(Icmp, &[u8]), Anomaly> {
    let (&[kind, code, ..], rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Anomaly::IcmpCut)?;
    Ok((Icmp { kind, code }, rest))
}

/// The type that answers `kind` or that `kind` answers; `None` for a one-way type.
pub(super) fn counterpart(kind: u8) -> Option<u8> {
    match kind {
        kind::ECHO => Some(kind::ECHO_REPLY),
        kind::ECHO_REPLY => Some(kind::ECHO),
        kind::ROUTER_SOLICITATION => Some(kind::ROUTER_ADVERTISEMENT),
        kind::ROUTER_ADVERTISEMENT => Some(kind::ROUTER_SOLICITATION),
        kind::TIMESTAMP => Some(kind::TIMESTAMP_REPLY),
        kind::TIMESTAMP_REPLY => Some(kind::TIMESTAMP),
        kind::INFORMATION => Some(kind::INFORMATION_REPLY),
        kind::INFORMATION_REPLY => Some(kind::INFORMATION),
        kind::MASK => Some(kind::MASK_REPLY),
        kind::MASK_REPLY => Some(kind::MASK),
        _ => None,
    }
}

/// What `kind` proves. Router advertisements are sent unasked too, so they prove nothing.
pub(super) fn role(kind: u8) -> Role {
    match kind {
        kind::ECHO | kind::ROUTER_SOLICITATION | kind::TIMESTAMP | kind::INFORMATION | kind::MASK => {
            Role::Source
        }
        kind::ECHO_REPLY | kind::TIMESTAMP_REPLY | kind::INFORMATION_REPLY | kind::MASK_REPLY => {
            Role::Destination
        }
        _ => Role::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_code_are_read() {
        assert_eq!(parse(&[3, 1, 0, 0, 9]), Ok((Icmp { kind: 3, code: 1 }, &[9][..])));
        assert_eq!(parse(&[3, 1, 0]), Err(Anomaly::IcmpCut));
    }

    #[test]
    fn counterparts_are_mutual_and_only_one_of_them_asks() {
        for kind in 0..=255 {
            let Some(other) = counterpart(kind) else {
                assert_eq!(role(kind), Role::Unknown, "{kind}");
                continue;
            };
            assert_eq!(counterpart(other), Some(kind));
            let asks = [role(kind), role(other)].iter().filter(|&&role| role == Role::Source).count();
            assert_eq!(asks, 1, "{kind}");
        }
    }
}
