//! See `src/zone.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| nearmost_fuzz::zone::run(octets));
