//! Keeps the running server true to its files: builds generations, runs probers, publishes what they find.

mod audience;
mod build;
mod collect;
mod expiry;
mod guard;
mod history;
mod hosts;
mod keep;
mod latency;
mod load;
mod made;
mod orders;
mod plan;
mod probed;
mod ramp;
mod replace;
mod run;
mod shares;
mod sockets;
mod states;
mod tell;
mod warn;

pub use audience::Audience;
pub use build::{Generation, build, cities, rebuild, rebuild_aside};
pub use history::Entry;
pub use hosts::{HostLine, known_addresses};
pub use load::{Loaded, Parts, load, load_text};
pub use made::Made;
pub use orders::{Done, OrderLine, Wanted};
pub use probed::{Probed, UP_TO};
pub use ramp::{Job, Ramps};
pub use run::{Handle, Running, StartError, describe, start};
