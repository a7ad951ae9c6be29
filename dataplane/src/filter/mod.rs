//! `filter.capture`: which frames are taken in at all, by an expression as tcpdump has it.
//!
//! libpcap compiles the expression once, for each link layer; what runs on the frames is ours. Nothing is allocated after that.

mod decode;
mod program;

use std::ffi::CString;

use pcap_sys::{Compiled, DataLink};

pub use pcap_sys::Instruction;
pub use program::{BadProgram, MAX_INSTRUCTIONS, Program};

use crate::wire::LinkType;

/// Link layers, each in the place of its discriminant.
const LINKS: [LinkType; 6] =
    [LinkType::Ethernet, LinkType::Raw, LinkType::Ppp, LinkType::Cooked, LinkType::Cooked2, LinkType::Null];

/// Why an expression is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// libpcap's own words.
    #[error("{0}")]
    Compile(String),
    /// libpcap made a program of it that is not run here.
    #[error("the program libpcap makes of it cannot be run: {0}")]
    Program(#[from] BadProgram),
}

/// An expression compiled for one link layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Program,
    /// For frames whose address family is in network byte order.
    swapped: Option<Program>,
}

impl Filter {
    /// Compiles `expression` as pcap-filter(7) describes it; an empty one lets every frame pass. Looks up the names in it.
    ///
    /// # Errors
    /// Where it is no expression, has no meaning for `link`, or needs a loop (`protochain`).
    pub fn compile(expression: &str, link: LinkType) -> Result<Filter, FilterError> {
        let expression = CString::new(expression)
            .map_err(|_| FilterError::Compile("the expression has an octet of zero in it".to_owned()))?;
        let compile = |link| -> Result<Program, FilterError> {
            let compiled = Compiled::new(&expression, link).map_err(FilterError::Compile)?;
            Ok(Program::new(compiled.instructions())?)
        };
        let program = compile(match link {
            LinkType::Ethernet => DataLink::Ethernet,
            LinkType::Raw => DataLink::Raw,
            LinkType::Ppp => DataLink::Ppp,
            LinkType::Cooked => DataLink::Cooked,
            LinkType::Cooked2 => DataLink::Cooked2,
            LinkType::Null => DataLink::Null,
        })?;
        let swapped = if link == LinkType::Null { Some(compile(DataLink::Loop)?) } else { None };
        Ok(Filter { program, swapped })
    }

    /// Whether a frame passes of which `frame` was captured and `wire_len` octets were on the wire.
    #[inline]
    pub fn passes(&self, frame: &[u8], wire_len: u32) -> bool {
        let program = match &self.swapped {
            // Families are small numbers: the octets of zero say which order they are in.
            Some(swapped) if frame.starts_with(&[0, 0]) => swapped,
            _ => &self.program,
        };
        program.run(frame, wire_len) != 0
    }
}

/// One expression for frames of every link layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFilter([Option<Filter>; LINKS.len()]);

impl CaptureFilter {
    /// Compiles `expression` for every link layer it has a meaning for. Those in `links` must be among them: the ones that will
    /// be met, as far as that is known; where none is known, at least one must be.
    ///
    /// # Errors
    /// As [`Filter::compile`] has them.
    pub fn compile(expression: &str, links: &[LinkType]) -> Result<CaptureFilter, FilterError> {
        let compiled = LINKS.map(|link| Filter::compile(expression, link));
        let links = if !links.is_empty() || compiled.iter().any(Result::is_ok) {
            links
        } else {
            &[LinkType::Ethernet]
        };
        for link in links {
            if let Err(error) = &compiled[*link as usize] {
                return Err(error.clone());
            }
        }
        Ok(CaptureFilter(compiled.map(Result::ok)))
    }

    /// Whether a frame passes; of a link layer the expression has no meaning for, none does.
    #[inline]
    pub fn passes(&self, link: LinkType, frame: &[u8], wire_len: u32) -> bool {
        self.0[link as usize].as_ref().is_some_and(|filter| filter.passes(frame, wire_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_in_the_places_of_their_discriminants() {
        assert!(LINKS.iter().enumerate().all(|(place, link)| *link as usize == place));
    }

    #[test]
    fn errors_are_in_the_words_of_libpcap() {
        let error = Filter::compile("tcp prt 80", LinkType::Ethernet).unwrap_err();
        assert!(error.to_string().contains("syntax error"), "{error}");
        let looping = Filter::compile("ip6 protochain 6", LinkType::Ethernet).unwrap_err();
        assert!(matches!(looping, FilterError::Program(BadProgram::JumpOutside(_))), "{looping}");
        assert!(Filter::compile("ip\0", LinkType::Ethernet).is_err());
    }

    #[test]
    fn an_expression_only_has_to_have_a_meaning_for_the_links_that_are_met() {
        let expression = "ether host 02:00:00:00:00:01";
        let filter = CaptureFilter::compile(expression, &[LinkType::Ethernet]).unwrap();
        assert!(!filter.passes(LinkType::Raw, &[0x45; 20], 20));
        assert!(CaptureFilter::compile(expression, &[]).is_ok());
        assert!(CaptureFilter::compile(expression, &[LinkType::Ethernet, LinkType::Raw]).is_err());
        assert!(CaptureFilter::compile("no such thing", &[]).is_err());
    }

    #[test]
    fn loopback_frames_pass_in_either_byte_order() {
        let filter = CaptureFilter::compile("ip", &[LinkType::Null]).unwrap();
        for (family, passes) in [([2, 0, 0, 0], true), ([0, 0, 0, 2], true), ([30, 0, 0, 0], false)] {
            let frame = [&family[..], &[0x45; 20]].concat();
            assert_eq!(filter.passes(LinkType::Null, &frame, 24), passes);
        }
    }
}
