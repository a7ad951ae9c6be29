//! IP without a link layer (LINKTYPE_RAW). Gives the version; nothing is taken off.

use crate::reason::Reason;
use crate::wire::Network;

pub(super) struct Raw {
    pub network: Network,
}

/// Tells the version of the IP packet `frame` is.
pub(super) fn parse(frame: &[u8]) -> Result<(Raw, &[u8]), Reason> {
    let network = match frame.first().ok_or(Reason::LinkTruncated)? >> 4 {
        4 => Network::V4,
        6 => Network::V6,
        _ => return Err(Reason::IpVersionUnknown),
    };
    Ok((Raw { network }, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_that_of_the_packet() {
        let network = |frame: &[u8]| parse(frame).map(|(raw, _)| raw.network);
        assert_eq!(network(&[0x45]), Ok(Network::V4));
        assert_eq!(network(&[0x60]), Ok(Network::V6));
        assert_eq!(network(&[0x50]), Err(Reason::IpVersionUnknown));
        assert_eq!(network(&[]), Err(Reason::LinkTruncated));
    }
}
