//! The `nearmost` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    nearmost::cli::run()
}
