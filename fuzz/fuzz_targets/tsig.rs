//! See `src/tsig.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| nearmost_fuzz::tsig::run(octets));
