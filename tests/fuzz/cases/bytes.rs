//! An input as a stream of small numbers: what a fuzzer changes in one place stays where it is in all others.

#![allow(dead_code, reason = "every case uses a part of it")]

use dataplane::wire::LinkType;

/// Link layers, as inputs number them.
const LINKS: [LinkType; 6] =
    [LinkType::Ethernet, LinkType::Raw, LinkType::Ppp, LinkType::Cooked, LinkType::Cooked2, LinkType::Null];

/// What is left of an input. Gives zeros when it is used up.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn link(&mut self) -> LinkType {
        LINKS[usize::from(self.u8()) % LINKS.len()]
    }

    /// The next octets, `length` of them or all that are left.
    pub(crate) fn slice(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.slice(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }
}
