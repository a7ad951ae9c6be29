//! Short ASCII text on the stack: addresses, ids and numbers on their way into a span. Never allocates.

use std::fmt;
use std::net::IpAddr;

use super::in_place::{self, ROOM, Window};

/// At most 39 ASCII characters, which is the longest IPv6 address.
#[derive(Clone, Copy)]
pub struct ShortText {
    /// What stands past `len` means nothing.
    window: Window,
    len: u8,
}

impl ShortText {
    /// What `write` writes into the window it is given, and says the length of.
    #[inline]
    pub fn written(write: impl FnOnce(&mut Window) -> usize) -> ShortText {
        let mut window = [0; ROOM];
        let len = write(&mut window);
        debug_assert!(window[..len].is_ascii());
        ShortText { window, len: u8::try_from(len).expect("a window has 48 octets") }
    }

    /// `number` in decimal.
    pub fn decimal(number: u64) -> ShortText {
        ShortText::written(|window| in_place::decimal(number, window))
    }

    /// `number` in decimal, with a sign where it is negative.
    pub fn signed(number: i64) -> ShortText {
        ShortText::written(|window| in_place::signed(number, window))
    }

    /// `bytes` as lowercase hexadecimal digits.
    ///
    /// # Panics
    /// On more than 24 bytes.
    pub fn hex(bytes: &[u8]) -> ShortText {
        ShortText::written(|window| in_place::hex(bytes, window))
    }

    /// An IP address: dotted decimal, or RFC 5952 for IPv6 (mapped IPv4 addresses end in dotted decimal).
    pub fn address(address: IpAddr) -> ShortText {
        ShortText::written(|window| in_place::address(address, window))
    }

    /// The characters as bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.window[..usize::from(self.len)]
    }

    /// The characters as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("every writer writes ASCII")
    }
}

impl PartialEq for ShortText {
    fn eq(&self, other: &ShortText) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ShortText {}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

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
        fn numbers_are_written_as_the_standard_library_does(number: i64, shift in 0_u32..64) {
            let number = number >> shift;
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
        for number in (0..20).map(|digits| 10_u64.pow(digits)) {
            for number in [number - 1, number, number + 1] {
                assert_eq!(ShortText::decimal(number).as_str(), number.to_string());
            }
        }
        assert_eq!(ShortText::signed(i64::MIN).as_str(), i64::MIN.to_string());
        assert_eq!(ShortText::decimal(u64::MAX).as_str(), u64::MAX.to_string());
        let mac = ShortText::written(|window| in_place::mac([0, 0x1b, 0x21, 0xab, 0xcd, 0xef], window));
        assert_eq!(mac.as_str(), "00:1b:21:ab:cd:ef");
        assert_eq!(ShortText::hex(&[0, 0xff, 0x10]).as_str(), "00ff10");
    }
}
