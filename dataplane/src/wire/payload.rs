//! What follows a header: the octets captured, and how many there were on the wire.

use super::octets;

/// Octets behind a header. The capture may have cut them short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Payload<'a> {
    pub bytes: &'a [u8],
    /// How many there were on the wire by the length of the header in front of them.
    pub octets: u32,
}

impl<'a> Payload<'a> {
    /// What is left where `rest` is the end of `bytes`.
    #[inline]
    pub(super) fn behind(self, rest: &'a [u8]) -> Payload<'a> {
        let header = octets(self.bytes).saturating_sub(octets(rest));
        Payload { bytes: rest, octets: self.octets.saturating_sub(header) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_taken_off_both_lengths() {
        let bytes = [1, 2, 3, 4];
        let payload = Payload { bytes: &bytes, octets: 100 };
        assert_eq!(payload.behind(&bytes[3..]), Payload { bytes: &[4], octets: 97 });
        assert_eq!(Payload { octets: 2, ..payload }.behind(&bytes[3..]).octets, 0);
    }
}
