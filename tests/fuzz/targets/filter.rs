//! Programs and expressions of the capture filter. See `cases/filter.rs`.
#![no_main]

#[path = "../cases/bytes.rs"]
mod bytes;
#[path = "../cases/filter.rs"]
mod case;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
