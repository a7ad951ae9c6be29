//! VLAN tag, IEEE 802.1Q §9.6. Gives the VLAN id and the type that follows; priority and drop-eligible bit are ignored.

use super::Reason;

const HEADER_LEN: usize = 4;

/// Tags followed in one frame; a frame with more is not parsed.
pub(super) const MAX_TAGS: u8 = 4;

pub(super) struct Vlan {
    /// VLAN id, 12 bits; 0 is a priority tag, which names no VLAN.
    pub id: u16,
    pub ethertype: u16,
}

/// Parses the octets behind a tag's Ethernet type.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<(Vlan, &[u8]), Reason> {
    let (&[c0, c1, t0, t1], rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Reason::VlanTruncated)?;
    let id = u16::from_be_bytes([c0, c1]) & 0x0fff;
    Ok((Vlan { id, ethertype: u16::from_be_bytes([t0, t1]) }, rest))
}

/// The VLAN ids of one frame, outermost first.
#[derive(Default)]
pub(super) struct Tags {
    outer: u16,
    inner: u16,
    count: u8,
    /// Whether the tags to come belong to a frame inside the one whose ids are told.
    inside: bool,
}

impl Tags {
    /// The tags to come are those of a frame inside this one: they are counted anew, and their ids not told.
    pub(super) fn enter_frame(&mut self) {
        (self.count, self.inside) = (0, true);
    }

    /// Adds the next tag inwards.
    pub(super) fn push(&mut self, id: u16) -> Result<(), Reason> {
        if self.count >= MAX_TAGS {
            return Err(Reason::VlanTooDeep);
        }
        self.count = self.count.saturating_add(1);
        match (id, self.outer) {
            (0, _) => {}
            _ if self.inside => {}
            (id, 0) => self.outer = id,
            (id, _) => self.inner = id,
        }
        Ok(())
    }

    /// The outermost id in bits 12-23, the innermost other one in bits 0-11.
    pub(super) fn key(&self) -> u32 {
        u32::from(self.outer) << 12 | u32::from(self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ids: &[u16]) -> Result<u32, Reason> {
        let mut tags = Tags::default();
        for &id in ids {
            tags.push(id)?;
        }
        Ok(tags.key())
    }

    #[test]
    fn priority_bits_are_not_part_of_the_id() {
        let (vlan, rest) = parse(&[0xe0, 0x64, 0x08, 0x00, 0x45]).unwrap();
        assert_eq!((vlan.id, vlan.ethertype, rest), (100, 0x0800, &[0x45][..]));
        assert!(parse(&[0, 1, 8]).is_err());
    }

    #[test]
    fn key_has_the_outermost_and_the_innermost_id() {
        assert_eq!(key(&[]), Ok(0));
        assert_eq!(key(&[7]), Ok(7 << 12));
        assert_eq!(key(&[7, 8]), Ok(7 << 12 | 8));
        assert_eq!(key(&[7, 9, 8]), Ok(7 << 12 | 8));
    }

    #[test]
    fn priority_tag_is_no_vlan() {
        assert_eq!(key(&[0]), Ok(0));
        assert_eq!(key(&[0, 8]), Ok(8 << 12));
        assert_eq!(key(&[7, 0]), Ok(7 << 12));
    }

    #[test]
    fn fifth_tag_is_too_deep() {
        assert_eq!(key(&[1, 2, 3, 4]), Ok(1 << 12 | 4));
        assert_eq!(key(&[1, 2, 3, 4, 5]), Err(Reason::VlanTooDeep));
    }

    #[test]
    fn tags_of_an_inner_frame_are_counted_anew_and_not_told() {
        let mut tags = Tags::default();
        assert!([7, 1, 2, 8].into_iter().all(|id| tags.push(id).is_ok()));
        tags.enter_frame();
        assert!([9, 9, 9, 9].into_iter().all(|id| tags.push(id).is_ok()));
        assert_eq!((tags.key(), tags.push(9)), (7 << 12 | 8, Err(Reason::VlanTooDeep)));
    }
}
