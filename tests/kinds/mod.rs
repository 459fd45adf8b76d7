//! The kinds of probes, each against what it asks.

mod blackhole;
mod dns;
mod exec;
mod file;
mod icmp;
mod resolve;
mod rsync;
mod web;
