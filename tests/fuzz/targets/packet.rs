//! Frames through the parser, and through the whole intake into a table. See `cases/packet.rs`.
#![no_main]

#[path = "../cases/bytes.rs"]
mod bytes;
#[path = "../cases/packet.rs"]
mod case;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
