//! libpcap's compiler: a filter expression to a program of classic BPF.
//!
//! The surface is safe. Opens no device and no file.

#![expect(unsafe_code, reason = "calls a C library")]

use std::ffi::{CStr, c_int};
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};

/// Octets of a packet the compiler is told that there may be; also what a program returns for those it accepts.
const SNAPLEN: c_int = 1 << 18;

/// libpcap before 1.8 keeps the state of its compiler in globals; later ones lose nothing by compiling one at a time.
static COMPILER: Mutex<()> = Mutex::new(());

/// What a frame begins with, as libpcap numbers it on this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLink {
    /// Ethernet.
    Ethernet,
    /// An IP packet.
    Raw,
    /// PPP in HDLC-like framing.
    Ppp,
    /// Linux cooked capture.
    Cooked,
    /// Linux cooked capture, second format.
    Cooked2,
    /// An address family in this machine's byte order.
    Null,
    /// An address family in network byte order.
    Loop,
}

impl DataLink {
    fn number(self) -> c_int {
        let number = match self {
            DataLink::Ethernet => generated::DLT_EN10MB,
            DataLink::Raw => generated::DLT_RAW,
            DataLink::Ppp => generated::DLT_PPP,
            DataLink::Cooked => generated::DLT_LINUX_SLL,
            DataLink::Cooked2 => generated::DLT_LINUX_SLL2,
            DataLink::Null => generated::DLT_NULL,
            DataLink::Loop => generated::DLT_LOOP,
        };
        c_int::try_from(number).expect("data link types are below 1,000")
    }
}

/// One instruction of classic BPF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions skipped where a comparison holds.
    pub jt: u8,
    /// Instructions skipped where it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A compiled expression, in libpcap's memory.
#[derive(Debug)]
pub struct Compiled(generated::bpf_program);

impl Compiled {
    /// Compiles `expression` for frames of `link`. May ask the resolver for the names in it.
    ///
    /// # Errors
    /// libpcap's own words.
    pub fn new(expression: &CStr, link: DataLink) -> Result<Compiled, String> {
        let _guard = COMPILER.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: takes two numbers; gives NULL or a handle of its own.
        let handle = unsafe { generated::pcap_open_dead(link.number(), SNAPLEN) };
        if handle.is_null() {
            return Err("out of memory".to_owned());
        }
        let mut compiled = Compiled(generated::bpf_program { bf_len: 0, bf_insns: ptr::null_mut() });
        // SAFETY: the handle is open, the program is ours to be written to, and the expression ends in NUL.
        let status = unsafe {
            generated::pcap_compile(
                handle,
                &raw mut compiled.0,
                expression.as_ptr(),
                1,
                generated::PCAP_NETMASK_UNKNOWN,
            )
        };
        let result = if status == 0 { Ok(compiled) } else { Err(last_error(handle)) };
        // SAFETY: the handle is open and not used again; programs do not refer to it.
        unsafe { generated::pcap_close(handle) };
        result
    }

    /// The program.
    pub fn instructions(&self) -> Vec<Instruction> {
        let Compiled(program) = self;
        if program.bf_insns.is_null() {
            return Vec::new();
        }
        // SAFETY: the pointer is not null, and a compiled program is an array of as many instructions as it says, which
        // lives and does not change until it is freed in `drop`. `bf_len` counts the 8-byte instructions of one allocation.
        let instructions = unsafe { slice::from_raw_parts(program.bf_insns, program.bf_len as usize) };
        instructions
            .iter()
            .map(|from| Instruction { code: from.code, jt: from.jt, jf: from.jf, k: from.k })
            .collect()
    }

    /// Whether libpcap's own interpreter lets a frame pass, of which `data` was captured and `wire_len` octets were on the
    /// wire: what others are compared with.
    pub fn passes(&self, data: &[u8], wire_len: u32) -> bool {
        let Ok(captured) = u32::try_from(data.len()) else {
            return false;
        };
        let header = generated::pcap_pkthdr {
            ts: generated::timeval { tv_sec: 0, tv_usec: 0 },
            caplen: captured,
            len: wire_len,
        };
        // SAFETY: the program is one that libpcap compiled, which its interpreter trusts; it reads `caplen` octets at most
        // from `data`, which holds as many; all three outlive the call and none is written to.
        let verdict =
            unsafe { generated::pcap_offline_filter(&raw const self.0, &raw const header, data.as_ptr()) };
        verdict != 0
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        // SAFETY: the program is as pcap_compile left it, or empty, which is a program of no instructions; freed once.
        unsafe { generated::pcap_freecode(&raw mut self.0) };
    }
}

/// What went wrong last with `handle`, which is open.
fn last_error(handle: *mut generated::pcap_t) -> String {
    // SAFETY: the handle is open; what is given is its own buffer.
    let words = unsafe { generated::pcap_geterr(handle) };
    // SAFETY: the buffer is a string that ends in NUL, and lives and does not change until the handle is used again.
    let words = unsafe { CStr::from_ptr(words) };
    words.to_string_lossy().into_owned()
}

#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    dead_code,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnecessary_transmutes,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated by bindgen, which writes in its own style"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_compiles_to_a_program_that_runs() {
        let compiled = Compiled::new(c"ip", DataLink::Raw).unwrap();
        let program = compiled.instructions();
        assert_eq!(program.last().unwrap().code & 7, 6, "a program ends in a return");
        assert!(compiled.passes(&[0x45; 20], 20));
        assert!(!compiled.passes(&[0x60; 20], 20));
        assert!(!compiled.passes(&[], 0));
    }

    #[test]
    fn an_expression_that_is_none_is_an_error_in_the_words_of_libpcap() {
        let error = Compiled::new(c"tcp prt 80", DataLink::Ethernet).unwrap_err();
        assert!(error.contains("syntax error"), "{error}");
    }
}
