//! From an Ethernet type to IP: the walk over VLAN tags, 802.1ah backbone tags, MPLS, PPPoE and LLC/SNAP (IEEE 802.3
//! §3.2.6).

use super::{Network, Reason, TunnelOptions, link::ethernet, llc, pbb, tunnel, vlan};
use tunnel::Below;

/// Headers followed between the link layer and IP: [`vlan::MAX_TAGS`] tags, a backbone tag and one LLC header, and as
/// much again in a frame that an MPLS pseudowire carries.
const MAX_HEADERS: usize = 12;

/// An 802.3 length field holds at most 1,500; from 0x0600 on the field is a type.
const MAX_LENGTH: u16 = 0x05ff;

/// Ethernet types this probe knows (IANA "IEEE 802 Numbers").
pub(super) mod number {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const RARP: u16 = 0x8035;
    pub(crate) const IPV6: u16 = 0x86dd;
    /// IEEE 802.1Q customer tag.
    pub(crate) const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad service tag.
    pub(crate) const QINQ: u16 = 0x88a8;
    /// Tag types in use before IEEE 802.1ad.
    pub(crate) const QINQ_OLD: [u16; 3] = [0x9100, 0x9200, 0x9300];
    /// IEEE 802.1ah backbone service instance tag.
    pub(crate) const PBB: u16 = 0x88e7;
    /// Bridged Ethernet in a tunnel.
    pub(crate) const BRIDGED: u16 = 0x6558;
    pub(crate) const MPLS: u16 = 0x8847;
    pub(crate) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(crate) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(crate) const PPPOE_SESSION: u16 = 0x8864;
}

/// Where the walk ended.
pub(super) struct Found<'a> {
    pub network: Network,
    /// As in [`flowtable::FlowKey::vlans`].
    pub vlans: u32,
    pub rest: &'a [u8],
}

/// Whether `field` is an Ethernet type, as opposed to the length of an 802.3 frame.
pub(super) fn is_type(field: u16) -> bool {
    field > MAX_LENGTH
}

/// Follows `ethertype` to the IP packet in `bytes`.
#[inline]
pub(super) fn walk<'a>(
    ethertype: u16,
    bytes: &'a [u8],
    options: &TunnelOptions,
) -> Result<Found<'a>, Reason> {
    match ethertype {
        number::IPV4 => Ok(Found { network: Network::V4, vlans: 0, rest: bytes }),
        number::IPV6 => Ok(Found { network: Network::V6, vlans: 0, rest: bytes }),
        number::VLAN => tagged_once(bytes).map_or_else(|| walk_headers(ethertype, bytes, options), Ok),
        _ => walk_headers(ethertype, bytes, options),
    }
}

/// The IP packet behind a single tag, which is what most tagged frames have.
#[inline]
fn tagged_once(bytes: &[u8]) -> Option<Found<'_>> {
    let (tag, rest) = vlan::parse(bytes).ok()?;
    let network = match tag.ethertype {
        number::IPV4 => Network::V4,
        number::IPV6 => Network::V6,
        _ => return None,
    };
    Some(Found { network, vlans: u32::from(tag.id) << 12, rest })
}

fn walk_headers<'a>(
    mut ethertype: u16,
    mut bytes: &'a [u8],
    options: &TunnelOptions,
) -> Result<Found<'a>, Reason> {
    let mut tags = vlan::Tags::default();
    for _ in 0..=MAX_HEADERS {
        match ethertype {
            number::IPV4 => return Ok(Found { network: Network::V4, vlans: tags.key(), rest: bytes }),
            number::IPV6 => return Ok(Found { network: Network::V6, vlans: tags.key(), rest: bytes }),
            number::VLAN | number::QINQ => (ethertype, bytes) = tag(&mut tags, bytes)?,
            old if number::QINQ_OLD.contains(&old) => (ethertype, bytes) = tag(&mut tags, bytes)?,
            number::PBB => {
                let (_, inner) = pbb::parse(bytes)?;
                let (frame, rest) = ethernet::parse(inner)?;
                (ethertype, bytes) = (frame.ethertype, rest);
            }
            0..=MAX_LENGTH => {
                let (llc, rest) = llc::parse(bytes)?;
                (ethertype, bytes) = (llc.ethertype.ok_or(Reason::Llc)?, rest);
            }
            other => match tunnel::below_ip(other, bytes, options).ok_or_else(|| not_ip(other))?? {
                Below::Ip(network, rest) => return Ok(Found { network, vlans: tags.key(), rest }),
                Below::Frame(inner) => {
                    tags.enter_frame();
                    let (frame, rest) = ethernet::parse(inner)?;
                    (ethertype, bytes) = (frame.ethertype, rest);
                }
            },
        }
    }
    Err(Reason::LinkTooDeep)
}

fn tag<'a>(tags: &mut vlan::Tags, bytes: &'a [u8]) -> Result<(u16, &'a [u8]), Reason> {
    let (tag, rest) = vlan::parse(bytes)?;
    tags.push(tag.id)?;
    Ok((tag.ethertype, rest))
}

fn not_ip(ethertype: u16) -> Reason {
    match ethertype {
        number::ARP | number::RARP => Reason::Arp,
        _ => Reason::OtherEthertype,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ethertype: u16, bytes: &[u8]) -> Result<Found<'_>, Reason> {
        walk(ethertype, bytes, &TunnelOptions::default())
    }

    fn reason(ethertype: u16, bytes: &[u8]) -> Option<Reason> {
        found(ethertype, bytes).err()
    }

    #[test]
    fn what_is_not_ip_is_told_apart() {
        assert_eq!(reason(number::ARP, &[]), Some(Reason::Arp));
        let off = TunnelOptions { mpls: false, pppoe: false, ..TunnelOptions::default() };
        assert_eq!(walk(number::MPLS, &[], &off).err(), Some(Reason::Mpls));
        assert_eq!(walk(number::PPPOE_SESSION, &[], &off).err(), Some(Reason::Pppoe));
        assert_eq!(reason(0x88cc, &[]), Some(Reason::OtherEthertype));
        assert_eq!(reason(38, &[0x42, 0x42, 3]), Some(Reason::Llc));
    }

    #[test]
    fn ip_is_found_behind_a_backbone_tag_and_its_inner_vlan() {
        let mut bytes = vec![0, 0, 0, 9];
        bytes.extend([1; 6]);
        bytes.extend([2; 6]);
        bytes.extend([0x81, 0x00, 0x00, 0x07, 0x86, 0xdd, 0x60]);
        let found = found(number::PBB, &bytes).unwrap();
        assert_eq!((found.network, found.vlans, found.rest), (Network::V6, 7 << 12, &[0x60][..]));
    }

    #[test]
    fn ip_is_found_in_snap() {
        let found = found(40, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]).unwrap();
        assert_eq!((found.network, found.rest), (Network::V4, &[0x45][..]));
    }

    #[test]
    fn snap_in_snap_is_followed_only_so_far() {
        let bytes = [0xaa, 0xaa, 3, 0, 0, 0, 0, 40].repeat(20);
        assert_eq!(reason(40, &bytes), Some(Reason::LinkTooDeep));
    }

    #[test]
    fn tags_of_a_frame_in_a_pseudowire_are_not_those_of_the_outer_frame() {
        let mut bytes = vec![0, 7, 0x88, 0x47, 0, 1, 0x01, 64, 0, 0, 0, 0];
        bytes.extend([1; 12]);
        bytes.extend([0x81, 0x00, 0x00, 0x09, 0x08, 0x00, 0x45]);
        let found = found(number::VLAN, &bytes).unwrap();
        assert_eq!((found.network, found.vlans, found.rest), (Network::V4, 7 << 12, &[0x45][..]));
    }
}
