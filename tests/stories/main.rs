//! Stories with the real program on loopback: real UDP and TCP, real HTTP mirrors, and what a person sees of it all.
//!
//! Every story has a folder and loopback addresses of its own, waits for what it expects instead of for a time, and ends what it started.
#![allow(
    clippy::unwrap_used,
    reason = "a story that cannot set up its world fails"
)]
#![allow(clippy::panic, reason = "how a story fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "stories wait with a person's clock"
)]
#![allow(unreachable_pub, reason = "modules of a test binary")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/crowd/mod.rs"]
mod crowd;

mod browser;
mod program;
mod querylog;
mod question;
mod validators;
mod world;

mod abuse;
mod access;
mod activation;
mod admin;
mod check;
mod crowds;
mod dashboard;
mod demo;
mod dnsviz;
mod drill;
mod encrypted;
mod examples;
mod explain;
mod faults;
mod freeze;
mod import;
mod init;
mod keys;
mod landlock;
mod load;
mod logs;
mod metrics;
mod mirrors;
mod names;
mod orders;
mod pages;
mod presigned;
mod reload;
mod resolver;
mod rights;
mod room;
mod signed;
mod start;
mod steering;
mod systemd;
mod transfers;
mod transport;
mod upgrade;
mod zones;
