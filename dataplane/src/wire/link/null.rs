//! Loopback of BSD (LINKTYPE_NULL, LINKTYPE_LOOP). Gives the IP version of the address family, in either byte order.

use crate::reason::Reason;
use crate::wire::Network;

const HEADER_LEN: usize = 4;

/// Address family of IPv4, the same everywhere.
const AF_INET: u32 = 2;
/// Address family of IPv6 on Linux and Windows, NetBSD and OpenBSD, FreeBSD, and macOS.
const AF_INET6: [u32; 5] = [10, 23, 24, 28, 30];

pub(super) struct Null {
    pub network: Network,
}

/// Parses a frame of a loopback device.
pub(super) fn parse(frame: &[u8]) -> Result<(Null, &[u8]), Reason> {
    let (&header, rest) = frame.split_first_chunk::<HEADER_LEN>().ok_or(Reason::LinkTruncated)?;
    // Families are small numbers, so the order in which the value is the smaller one is the one it was written in.
    let family = u32::from_be_bytes(header).min(u32::from_le_bytes(header));
    let network = match family {
        AF_INET => Network::V4,
        family if AF_INET6.contains(&family) => Network::V6,
        _ => return Err(Reason::LinkNotIp),
    };
    Ok((Null { network }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_is_read_in_either_byte_order() {
        let network = |frame: &[u8]| parse(frame).map(|(null, _)| null.network);
        assert_eq!(network(&[2, 0, 0, 0, 0x45]), Ok(Network::V4));
        assert_eq!(network(&[0, 0, 0, 2, 0x45]), Ok(Network::V4));
        assert_eq!(network(&[30, 0, 0, 0, 0x60]), Ok(Network::V6));
        assert_eq!(network(&[0, 0, 0, 24, 0x60]), Ok(Network::V6));
        assert_eq!(network(&[7, 0, 0, 0]), Err(Reason::LinkNotIp));
        assert_eq!(network(&[2, 0, 0]), Err(Reason::LinkTruncated));
    }
}
