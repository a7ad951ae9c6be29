//! Any octets as a capture file. See `cases/capture.rs`.
#![no_main]

#[path = "../cases/bytes.rs"]
mod bytes;
#[path = "../cases/capture.rs"]
mod case;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
