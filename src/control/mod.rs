//! Keeps the running server true to its files: builds generations, runs probers, publishes what they find.

mod build;
mod collect;
mod load;
mod run;
mod shares;

pub use build::{Generation, build, cities, rebuild, rebuild_aside};
pub use load::{Loaded, Parts, load, load_text};
pub use run::{Handle, Running, StartError, describe, start};
