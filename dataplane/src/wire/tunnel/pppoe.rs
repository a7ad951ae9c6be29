//! PPPoE, RFC 2516 §4. Gives the packet of a session; discovery and PPP's own protocols carry none.

use super::{Below, Reason};
use crate::wire::link::ppp;

const HEADER_LEN: usize = 6;

/// Version 1, type 1.
const VERSION_TYPE: u8 = 0x11;
/// Code of a frame that belongs to a session.
const SESSION: u8 = 0;

/// Parses a session frame and gives the PPP frame in it.
fn parse(bytes: &[u8]) -> Result<&[u8], Reason> {
    let (&[version_type, code, ..], rest) =
        bytes.split_first_chunk::<HEADER_LEN>().ok_or(Reason::PppoeTruncated)?;
    if version_type != VERSION_TYPE || code != SESSION {
        return Err(Reason::PppoeBadHeader);
    }
    Ok(rest)
}

pub(super) fn below(bytes: &[u8]) -> Result<Below<'_>, Reason> {
    let (ppp, rest) = ppp::parse(parse(bytes)?).map_err(|reason| match reason {
        Reason::LinkTruncated => Reason::PppoeTruncated,
        _ => Reason::PppoeControl,
    })?;
    Ok(Below::Ip(ppp.network, rest))
}

/// A frame that opens or closes a session.
pub(super) fn discovery(bytes: &[u8]) -> Result<Below<'_>, Reason> {
    match bytes.first_chunk::<HEADER_LEN>() {
        None => Err(Reason::PppoeTruncated),
        Some([VERSION_TYPE, ..]) => Err(Reason::PppoeDiscovery),
        Some(_) => Err(Reason::PppoeBadHeader),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Network;

    #[test]
    fn ip_of_either_version_is_found_in_a_session() {
        let mut bytes = [0x11, 0, 0, 1, 0, 3, 0x00, 0x21, 0x45];
        assert_eq!(below(&bytes), Ok(Below::Ip(Network::V4, &[0x45])));
        bytes[7] = 0x57;
        assert_eq!(below(&bytes), Ok(Below::Ip(Network::V6, &[0x45])));
    }

    #[test]
    fn what_is_no_ip_is_told_by_reason() {
        assert_eq!(below(&[0x11, 0, 0, 1, 0, 3, 0xc0, 0x21, 1]), Err(Reason::PppoeControl));
        assert_eq!(below(&[0x11, 0, 0, 1, 0, 0, 0]), Err(Reason::PppoeTruncated));
        assert_eq!(below(&[0x11, 0, 0, 1, 0]), Err(Reason::PppoeTruncated));
        assert_eq!(below(&[0x12, 0, 0, 1, 0, 3, 0, 0x21, 0x45]), Err(Reason::PppoeBadHeader));
        assert_eq!(below(&[0x11, 9, 0, 1, 0, 3, 0, 0x21, 0x45]), Err(Reason::PppoeBadHeader));
        assert_eq!(discovery(&[0x11, 9, 0, 0, 0, 0]), Err(Reason::PppoeDiscovery));
        assert_eq!(discovery(&[0x21, 9, 0, 0, 0, 0]), Err(Reason::PppoeBadHeader));
        assert_eq!(discovery(&[0x11]), Err(Reason::PppoeTruncated));
    }
}
