//! Linux cooked capture, first format (LINKTYPE_LINUX_SLL). Gives the sender's address and the Ethernet type.

use crate::reason::Reason;

const HEADER_LEN: usize = 16;

/// ARPHRD values (linux/if_arp.h) of devices whose protocol field is no Ethernet type: 802.11 and its monitors, netlink.
const UNTYPED_DEVICES: [u16; 4] = [801, 802, 803, 824];
/// ARPHRD value of an Ethernet device.
const ETHERNET_DEVICE: u16 = 1;
/// Protocol field of a frame without an Ethernet type: IEEE 802.2 LLC follows (linux/if_ether.h, `ETH_P_802_2`).
const LLC: u16 = 4;

pub(super) struct Cooked {
    /// The sender's MAC address where the device is an Ethernet one.
    pub source: Option<[u8; 6]>,
    pub ethertype: u16,
}

/// Parses a frame of the "any" device.
pub(super) fn parse(frame: &[u8]) -> Result<(Cooked, &[u8]), Reason> {
    let (header, rest) = frame.split_first_chunk::<HEADER_LEN>().ok_or(Reason::LinkTruncated)?;
    let &[_, _, d0, d1, l0, l1, s0, s1, s2, s3, s4, s5, _, _, t0, t1] = header;
    let device = u16::from_be_bytes([d0, d1]);
    let source = sender(device, u16::from_be_bytes([l0, l1]), [s0, s1, s2, s3, s4, s5]);
    let ethertype = protocol(device, u16::from_be_bytes([t0, t1]))?;
    Ok((Cooked { source, ethertype }, rest))
}

/// The sender's address where `device` has MAC addresses and this is a whole one.
pub(super) fn sender(device: u16, length: u16, address: [u8; 6]) -> Option<[u8; 6]> {
    (device == ETHERNET_DEVICE && length == 6).then_some(address)
}

/// The Ethernet type in the protocol field of a frame of `device`.
pub(super) fn protocol(device: u16, field: u16) -> Result<u16, Reason> {
    match field {
        _ if UNTYPED_DEVICES.contains(&device) => Err(Reason::LinkNotIp),
        LLC | 0x0600.. => Ok(field),
        _ => Err(Reason::LinkNotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(device: u8, protocol: [u8; 2]) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, device, 0, 6, 2, 3, 4, 5, 6, 7, 0, 0];
        frame.extend(protocol);
        frame.push(0x45);
        frame
    }

    #[test]
    fn sender_and_type_are_read() {
        let bytes = frame(1, [8, 0]);
        let (header, rest) = parse(&bytes).unwrap();
        assert_eq!((header.source, header.ethertype, rest), (Some([2, 3, 4, 5, 6, 7]), 0x0800, &[0x45][..]));
        assert_eq!(parse(&bytes[..15]).err(), Some(Reason::LinkTruncated));
    }

    #[test]
    fn address_of_a_device_without_mac_addresses_is_left_out() {
        assert_eq!(parse(&frame(255, [8, 0])).unwrap().0.source, None);
    }

    #[test]
    fn pseudo_protocols_other_than_llc_are_not_ip() {
        assert_eq!(parse(&frame(1, [0, 4])).unwrap().0.ethertype, 4);
        assert_eq!(parse(&frame(1, [0, 1])).err(), Some(Reason::LinkNotIp));
        let mut netlink = frame(1, [8, 0]);
        (netlink[2], netlink[3]) = (0x03, 0x38);
        assert_eq!(parse(&netlink).err(), Some(Reason::LinkNotIp));
    }
}
