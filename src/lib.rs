//! nearmost: an authoritative DNS server that sends every client to the nearest healthy mirror, and can say why.
//!
//! Two paths meet in two places only, the generation and its health table, each behind one pointer.
//!
//! **A question** comes in by [`server`], is read by [`wire`], answered by [`answer`] from the current [`snapshot`]: the
//! [`zone`] that has the name, the map of its pool ([`policy`]), the words of its nodes' addresses ([`health`]).
//!
//! A signed zone has its signatures beside it, and makes those that depend on the question ([`dnssec`]).
//!
//! **The control path** reads files ([`config`]), places addresses ([`geo`]), compiles pools ([`policy`]) and publishes a
//! generation ([`control`]); its [`probe`]rs find out what is up.
//!
//! **Other name servers** get zones whole, and what differs, by [`transfer`].
//!
//! **People** ask by [`cli`], which asks the running server by [`admin`]. `explain` is the query path with its reasons kept.

// What a question passes, from the packet to its answer.
pub mod answer;
pub mod server;
pub mod snapshot;
pub mod transfer;
pub mod wire;

// What answers are made of.
pub mod dnssec;
pub mod geo;
pub mod health;
pub mod policy;
pub mod zone;

// How that comes about.
pub mod config;
pub mod control;
pub mod probe;

// For people.
pub mod admin;
pub mod cli;

// Words that everybody uses.
pub mod clock;
pub mod diagnostic;
pub mod metrics;
pub mod prefix;
