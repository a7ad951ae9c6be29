//! Addresses and ids as ASCII, written in place: into a window of the output that has room for the longest of them.
//!
//! Every piece is stored at its full width and the place moved on by what counts of it, so that no branch depends on how
//! many digits a number has. What stands in the window after the text is not text, and is written over by what follows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flowtable::Family;

/// Room for the longest text, 39 characters of an IPv6 address, and for the width of its last piece beyond that.
pub const ROOM: usize = 48;
/// Where a text goes.
pub type Window = [u8; ROOM];

/// Characters of a MAC address.
pub const MAC_LEN: usize = 17;
const IPV6_GROUPS: usize = 8;
/// The least number that has more than eight digits.
const EIGHT_DIGITS: u64 = 100_000_000;
/// Eight times the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;
const MAPPED: [u8; 8] = *b"::ffff:\0";

/// Decimal digits of every octet with a dot behind them, from the left.
const OCTETS: [[u8; 4]; 256] = octets();
/// Decimal digits of the numbers below a hundred, from the left.
const ONE_OR_TWO: [[u8; 2]; 100] = one_or_two();
/// Two lowercase hexadecimal digits of every octet.
const HEX: [[u8; 2]; 256] = hex_octets();
/// Start and length of the first longest run of set bits, for every choice of the eight groups of an IPv6 address.
const LONGEST_RUN: [(u8, u8); 256] = longest_runs();

/// Writes dotted decimal, or RFC 5952 for IPv6 (mapped IPv4 addresses end in dotted decimal). Gives the length.
#[inline]
pub fn address(address: IpAddr, out: &mut Window) -> usize {
    match address {
        IpAddr::V4(address) => ipv4(address, 0, out),
        IpAddr::V6(address) => ipv6(address, out),
    }
}

/// The same for the 128 bits that keys and tunnels have; an IPv4 address lives in the low 32.
#[inline]
pub fn address_of(family: Family, address: u128, out: &mut Window) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "an IPv4 address lives in the low 32 bits")]
    let v4 = address as u32;
    match family {
        Family::V4 => ipv4(Ipv4Addr::from_bits(v4), 0, out),
        Family::V6 => ipv6(Ipv6Addr::from_bits(address), out),
    }
}

/// Writes six lowercase hexadecimal pairs separated by colons: [`MAC_LEN`] characters.
#[inline]
pub fn mac(mac: [u8; 6], out: &mut Window) -> usize {
    for (octet, place) in mac.into_iter().zip(out.chunks_exact_mut(3)) {
        place[..2].copy_from_slice(&HEX[usize::from(octet)]);
        place[2] = b':';
    }
    MAC_LEN
}

/// Writes `bytes`, at most [`ROOM`] / 2 of them, as lowercase hexadecimal digits. Gives the length.
pub fn hex(bytes: &[u8], out: &mut Window) -> usize {
    for (byte, place) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        place.copy_from_slice(&HEX[usize::from(*byte)]);
    }
    2 * bytes.len()
}

/// Writes `number` in decimal. Gives the length.
#[inline(always)]
pub fn decimal(number: u64, out: &mut Window) -> usize {
    if let Some(digits) = usize::try_from(number).ok().and_then(|number| ONE_OR_TWO.get(number)) {
        out[..2].copy_from_slice(digits);
        return 1 + usize::from(number > 9);
    }
    if number < EIGHT_DIGITS { put_leading(number, out) } else { put_long(number, out) }
}

/// Writes a number that has more than eight digits; gives the length.
#[inline(never)]
fn put_long(number: u64, out: &mut Window) -> usize {
    let (high, low) = (number / EIGHT_DIGITS, number % EIGHT_DIGITS);
    let at = if high < EIGHT_DIGITS {
        put_leading(high, out)
    } else {
        let at = put_leading(high / EIGHT_DIGITS, out);
        put_eight(high % EIGHT_DIGITS, at, out)
    };
    put_eight(low, at, out)
}

/// Writes `number` in decimal, with a sign where it is negative. Gives the length.
#[inline]
pub fn signed(number: i64, out: &mut Window) -> usize {
    let len = decimal(number.unsigned_abs(), out);
    if number >= 0 {
        return len;
    }
    out.copy_within(..len, 1);
    out[0] = b'-';
    len + 1
}

/// Writes a number below [`EIGHT_DIGITS`] without leading zeros; gives the length.
#[inline]
fn put_leading(number: u64, out: &mut Window) -> usize {
    let digits = eight_digits(number);
    // The last digit stays, also where it is 0.
    let zeros = (digits | 1 << 56).trailing_zeros() / 8;
    let text = (digits | ZEROS) >> (8 * zeros);
    out[..8].copy_from_slice(&text.to_le_bytes());
    8 - zeros as usize
}

/// Writes a number below [`EIGHT_DIGITS`] with leading zeros from `start` on; gives where it ends.
#[inline]
fn put_eight(number: u64, start: usize, out: &mut Window) -> usize {
    out[start..start + 8].copy_from_slice(&(eight_digits(number) | ZEROS).to_le_bytes());
    start + 8
}

/// The digits of a number below [`EIGHT_DIGITS`], one an octet, the first in the lowest: two fours, four pairs, eight digits.
/// Each step divides all its parts at once by multiplying with the reciprocal, which is exact for numbers so small.
#[inline]
const fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((pairs - 10 * tens) << 8)
}

/// Writes from `start` on; gives where the text ends.
#[inline]
fn ipv4(address: Ipv4Addr, start: usize, out: &mut Window) -> usize {
    let mut at = start;
    for octet in address.octets() {
        out[at..at + 4].copy_from_slice(&OCTETS[usize::from(octet)]);
        at += 2 + usize::from(octet > 9) + usize::from(octet > 99);
    }
    // Without the last dot.
    at - 1
}

#[inline]
fn ipv6(address: Ipv6Addr, out: &mut Window) -> usize {
    if let Some(mapped) = address.to_ipv4_mapped() {
        out[..8].copy_from_slice(&MAPPED);
        return ipv4(mapped, 7, out);
    }
    let groups = address.segments();
    let mut zeros = 0;
    for (place, group) in groups.into_iter().enumerate() {
        zeros |= usize::from(group == 0) << place;
    }
    let (gap_start, gap_len) = LONGEST_RUN[zeros];
    let (gap_start, gap_len) = (usize::from(gap_start), usize::from(gap_len));
    if gap_len < 2 {
        return put_groups(&groups, 0, out) - 1;
    }
    // Each group has its colon behind it; the second one of the gap is still to come.
    let mut at = put_groups(&groups[..gap_start], 0, out);
    if at == 0 {
        out[0] = b':';
        at = 1;
    }
    out[at] = b':';
    at += 1;
    let end = put_groups(&groups[gap_start + gap_len..], at, out);
    if end == at { at } else { end - 1 }
}

/// Writes groups without leading zeros, each with a colon behind it; gives where the last one ends.
#[inline]
fn put_groups(groups: &[u16], start: usize, out: &mut Window) -> usize {
    let mut at = start;
    for group in groups {
        let [high, low] = group.to_be_bytes();
        let ([a, b], [c, d]) = (HEX[usize::from(high)], HEX[usize::from(low)]);
        let zeros = (group | 1).leading_zeros() / 4;
        let text = u64::from_le_bytes([a, b, c, d, b':', 0, 0, 0]) >> (8 * zeros);
        out[at..at + 8].copy_from_slice(&text.to_le_bytes());
        at += 5 - zeros as usize;
    }
    at
}

#[expect(clippy::cast_possible_truncation, reason = "callers pass a digit or an index below 256")]
const fn low_octet(number: u64) -> u8 {
    number as u8
}

const fn octets() -> [[u8; 4]; 256] {
    let mut table = [[0; 4]; 256];
    let mut octet = 0;
    while octet < 256 {
        let number = low_octet(octet as u64);
        let (hundreds, tens, ones) = (b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10);
        table[octet] = match number {
            0..=9 => [ones, b'.', 0, 0],
            10..=99 => [tens, ones, b'.', 0],
            100.. => [hundreds, tens, ones, b'.'],
        };
        octet += 1;
    }
    table
}

const fn one_or_two() -> [[u8; 2]; 100] {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        let (tens, ones) = (b'0' + low_octet(number as u64 / 10), b'0' + low_octet(number as u64 % 10));
        table[number] = if number < 10 { [ones, 0] } else { [tens, ones] };
        number += 1;
    }
    table
}

const fn hex_octets() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = [DIGITS[octet >> 4], DIGITS[octet & 0xf]];
        octet += 1;
    }
    table
}

const fn longest_runs() -> [(u8, u8); 256] {
    let mut table = [(0, 0); 256];
    let mut zeros = 0;
    while zeros < 256 {
        let (mut start, mut len, mut place) = (0, 0, 0);
        while place < IPV6_GROUPS {
            if zeros >> place & 1 == 1 {
                len += 1;
                if len > table[zeros].1 {
                    table[zeros] = (start, len);
                }
            } else {
                start = low_octet(place as u64) + 1;
                len = 0;
            }
            place += 1;
        }
        zeros += 1;
    }
    table
}
