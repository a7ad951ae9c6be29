//! ICMPv6 header, RFC 4443 §2.1. Gives type and code, and which types answer each other (Community ID v1).

use super::Anomaly;
use flowtable::Role;

/// Type, code and checksum; what follows depends on the type.
const HEADER_LEN: usize = 4;

/// Types that belong to an exchange (IANA "ICMPv6 Parameters").
mod kind {
    pub(crate) const ECHO: u8 = 128;
    pub(crate) const ECHO_REPLY: u8 = 129;
    pub(crate) const LISTENER_QUERY: u8 = 130;
    pub(crate) const LISTENER_REPORT: u8 = 131;
    pub(crate) const ROUTER_SOLICITATION: u8 = 133;
    pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(crate) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(crate) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(crate) const NODE_INFORMATION: u8 = 139;
    pub(crate) const NODE_INFORMATION_REPLY: u8 = 140;
    pub(crate) const HOME_AGENT: u8 = 144;
    pub(crate) const HOME_AGENT_REPLY: u8 = 145;
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Icmpv6 {
    pub kind: u8,
    pub code: u8,
}

/// Parses the octets behind the IP headers.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<(Icmpv6, &[u8]), Anomaly> {
    let (&[kind, code, ..], rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Anomaly::Icmpv6Cut)?;
    Ok((Icmpv6 { kind, code }, rest))
}

/// The type that answers `kind` or that `kind` answers; `None` for a one-way type.
pub(super) fn counterpart(kind: u8) -> Option<u8> {
    match kind {
        kind::ECHO => Some(kind::ECHO_REPLY),
        kind::ECHO_REPLY => Some(kind::ECHO),
        kind::LISTENER_QUERY => Some(kind::LISTENER_REPORT),
        kind::LISTENER_REPORT => Some(kind::LISTENER_QUERY),
        kind::ROUTER_SOLICITATION => Some(kind::ROUTER_ADVERTISEMENT),
        kind::ROUTER_ADVERTISEMENT => Some(kind::ROUTER_SOLICITATION),
        kind::NEIGHBOR_SOLICITATION => Some(kind::NEIGHBOR_ADVERTISEMENT),
        kind::NEIGHBOR_ADVERTISEMENT => Some(kind::NEIGHBOR_SOLICITATION),
        kind::NODE_INFORMATION => Some(kind::NODE_INFORMATION_REPLY),
        kind::NODE_INFORMATION_REPLY => Some(kind::NODE_INFORMATION),
        kind::HOME_AGENT => Some(kind::HOME_AGENT_REPLY),
        kind::HOME_AGENT_REPLY => Some(kind::HOME_AGENT),
        _ => None,
    }
}

/// What `kind` proves. Advertisements and listener reports are sent unasked too, so they prove nothing.
pub(super) fn role(kind: u8) -> Role {
    match kind {
        kind::ECHO
        | kind::LISTENER_QUERY
        | kind::ROUTER_SOLICITATION
        | kind::NEIGHBOR_SOLICITATION
        | kind::NODE_INFORMATION
        | kind::HOME_AGENT => Role::Source,
        kind::ECHO_REPLY | kind::NODE_INFORMATION_REPLY | kind::HOME_AGENT_REPLY => Role::Destination,
        _ => Role::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_code_are_read() {
        assert_eq!(parse(&[1, 4, 0, 0, 9]), Ok((Icmpv6 { kind: 1, code: 4 }, &[9][..])));
        assert_eq!(parse(&[1, 4, 0]), Err(Anomaly::Icmpv6Cut));
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
