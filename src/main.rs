//! The `nearmost` program: everything is in the library.
fn main() {}
