//! The kinds of probes that are neither plain connections nor HTTP, each against what it asks.

mod dns;
mod exec;
mod file;
mod icmp;
mod rsync;
