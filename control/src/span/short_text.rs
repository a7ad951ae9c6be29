//! Short ASCII text on the stack: addresses, ids and numbers on their way into a span. Never allocates.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flowtable::Family;

const HEX: &[u8; 16] = b"0123456789abcdef";
const CAPACITY: usize = 39;
const IPV6_GROUPS: usize = 8;

/// At most 39 ASCII characters, which is the longest IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    bytes: [u8; CAPACITY],
    len: u8,
}

const _: () = assert!(size_of::<ShortText>() == 40);

impl ShortText {
    const EMPTY: ShortText = ShortText { bytes: [0; CAPACITY], len: 0 };

    /// `number` in decimal.
    pub fn decimal(number: u64) -> ShortText {
        let mut digits = [0; 20];
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + low_byte(rest % 10);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let mut text = ShortText::EMPTY;
        text.push_all(&digits[start..]);
        text
    }

    /// `number` in decimal, with a sign where it is negative.
    pub fn signed(number: i64) -> ShortText {
        let digits = ShortText::decimal(number.unsigned_abs());
        if number >= 0 {
            return digits;
        }
        let mut text = ShortText::EMPTY;
        text.push(b'-');
        text.push_all(digits.as_bytes());
        text
    }

    /// `bytes` as lowercase hexadecimal digits.
    ///
    /// # Panics
    /// On more than 19 bytes.
    pub fn hex(bytes: &[u8]) -> ShortText {
        let mut text = ShortText::EMPTY;
        for byte in bytes {
            text.push_hex_byte(*byte);
        }
        text
    }

    /// A MAC address: six lowercase hexadecimal pairs separated by colons.
    pub fn mac(mac: [u8; 6]) -> ShortText {
        let mut text = ShortText::EMPTY;
        for (place, byte) in mac.into_iter().enumerate() {
            if place > 0 {
                text.push(b':');
            }
            text.push_hex_byte(byte);
        }
        text
    }

    /// An IP address: dotted decimal, or RFC 5952 for IPv6 (mapped IPv4 addresses end in dotted decimal).
    pub fn address(address: IpAddr) -> ShortText {
        let mut text = ShortText::EMPTY;
        match address {
            IpAddr::V4(address) => text.push_ipv4(address),
            IpAddr::V6(address) => text.push_ipv6(address),
        }
        text
    }

    /// The same for the 128 bits that keys and tunnels have; an IPv4 address lives in the low 32.
    pub fn address_of(family: Family, address: u128) -> ShortText {
        #[expect(clippy::cast_possible_truncation, reason = "an IPv4 address lives in the low 32 bits")]
        let v4 = address as u32;
        match family {
            Family::V4 => ShortText::address(IpAddr::V4(Ipv4Addr::from_bits(v4))),
            Family::V6 => ShortText::address(IpAddr::V6(Ipv6Addr::from_bits(address))),
        }
    }

    /// Text made of `parts` one after the other.
    ///
    /// # Panics
    /// On more than 39 bytes altogether.
    pub fn ascii(parts: &[&[u8]]) -> ShortText {
        let mut text = ShortText::EMPTY;
        for part in parts {
            text.push_all(part);
        }
        text
    }

    /// The characters as bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The characters as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("every constructor writes ASCII")
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        debug_assert!(byte.is_ascii());
        self.bytes[usize::from(self.len)] = byte;
        self.len += 1;
    }

    #[inline]
    fn push_all(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.is_ascii());
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += low_byte(bytes.len() as u64);
    }

    fn push_hex_byte(&mut self, byte: u8) {
        self.push(HEX[usize::from(byte >> 4)]);
        self.push(HEX[usize::from(byte & 0xf)]);
    }

    fn push_ipv4(&mut self, address: Ipv4Addr) {
        for (place, octet) in address.octets().into_iter().enumerate() {
            if place > 0 {
                self.push(b'.');
            }
            if octet >= 100 {
                self.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.push(b'0' + octet / 10 % 10);
            }
            self.push(b'0' + octet % 10);
        }
    }

    fn push_ipv6(&mut self, address: Ipv6Addr) {
        if let Some(mapped) = address.to_ipv4_mapped() {
            self.push_all(b"::ffff:");
            self.push_ipv4(mapped);
            return;
        }
        let groups = address.segments();
        let (gap_start, gap_len) = longest_zero_run(&groups);
        let mut place = 0;
        while place < IPV6_GROUPS {
            if gap_len > 1 && place == gap_start {
                self.push_all(b"::");
                place += gap_len;
                continue;
            }
            if place > 0 && !(gap_len > 1 && place == gap_start + gap_len) {
                self.push(b':');
            }
            self.push_group(groups[place]);
            place += 1;
        }
    }

    /// One group of an IPv6 address, without leading zeros.
    fn push_group(&mut self, group: u16) {
        let [high, low] = group.to_be_bytes();
        if group > 0xfff {
            self.push(HEX[usize::from(high >> 4)]);
        }
        if group > 0xff {
            self.push(HEX[usize::from(high & 0xf)]);
        }
        if group > 0xf {
            self.push(HEX[usize::from(low >> 4)]);
        }
        self.push(HEX[usize::from(low & 0xf)]);
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Start and length of the first longest run of zero groups.
fn longest_zero_run(groups: &[u16; IPV6_GROUPS]) -> (usize, usize) {
    let mut best = (0, 0);
    let mut run = (0, 0);
    for (place, group) in groups.iter().enumerate() {
        if *group != 0 {
            run = (place + 1, 0);
            continue;
        }
        run.1 += 1;
        if run.1 > best.1 {
            best = run;
        }
    }
    best
}

#[expect(clippy::cast_possible_truncation, reason = "callers pass a digit or a length below 40")]
fn low_byte(number: u64) -> u8 {
    number as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_as_std(address: IpAddr) {
        assert_eq!(ShortText::address(address).as_str(), address.to_string());
    }

    proptest! {
        #[test]
        fn ipv4_is_written_as_the_standard_library_does(bits: u32) {
            assert_as_std(IpAddr::V4(Ipv4Addr::from_bits(bits)));
        }

        #[test]
        fn ipv6_is_written_as_the_standard_library_does(groups: [u16; 8], zeros: u8) {
            let mut groups = groups;
            for (place, group) in groups.iter_mut().enumerate() {
                if zeros >> place & 1 == 1 {
                    *group = 0;
                }
            }
            assert_as_std(IpAddr::V6(Ipv6Addr::from(groups)));
        }

        #[test]
        fn numbers_are_written_as_the_standard_library_does(number: i64) {
            let (signed, unsigned) = (ShortText::signed(number), ShortText::decimal(number.unsigned_abs()));
            prop_assert_eq!(signed.as_str(), number.to_string());
            prop_assert_eq!(unsigned.as_str(), number.unsigned_abs().to_string());
        }
    }

    #[test]
    fn the_edges_fit() {
        for text in [
            "::",
            "::1",
            "1::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::ffff:255.255.255.255",
            "::1.2.3.4",
        ] {
            assert_as_std(text.parse().unwrap());
        }
        assert_eq!(ShortText::signed(i64::MIN).as_str(), i64::MIN.to_string());
        assert_eq!(ShortText::decimal(u64::MAX).as_str(), u64::MAX.to_string());
        assert_eq!(ShortText::mac([0, 0x1b, 0x21, 0xab, 0xcd, 0xef]).as_str(), "00:1b:21:ab:cd:ef");
        assert_eq!(ShortText::hex(&[0, 0xff, 0x10]).as_str(), "00ff10");
    }
}
