//! `keys`: the keys of signed zones; made, shown as the parent needs them, rolled over.

mod import;
mod shown;
mod steps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Stop, complain, config_path, print, print_json, verdict};
use crate::clock;
use crate::config;
use crate::control::{KeyEntry, KeyList, Keyring, make_state};
use crate::diagnostic::{Diagnostics, Sources};
use crate::dnssec::{Algorithm, Digest, Role};
use crate::health::Time;
use crate::zone::Name;

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    what: Option<What>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make the first key of a zone
    New {
        /// The zone
        zone: String,
        /// How it signs
        #[arg(long, value_enum, default_value_t = How::EcdsaP256)]
        algorithm: How,
        /// Make two: one that signs the keys, and one that signs all else
        #[arg(long)]
        split: bool,
    },
    /// Show what the parent zone needs: DS records
    Ds {
        /// The zone
        zone: String,
        /// How the key is hashed
        #[arg(long, value_enum, default_value_t = Hash::Sha256)]
        digest: Hash,
    },
    /// Show the same keys as DNSKEY records, for registries that make the DS themselves
    Dnskey {
        /// The zone
        zone: String,
    },
    /// Begin to replace a key: another is published beside it
    Roll {
        /// The zone
        zone: String,
        /// Which; needed where the zone has two kinds
        #[arg(long, value_enum)]
        role: Option<Which>,
    },
    /// Say that the parent zone has the DS of the key that is ready: it signs from now on
    DsSeen {
        /// The zone
        zone: String,
        /// The TTL of DS records at the parent, such as `7d`: the key before stays for as long
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = time)]
        ttl: Duration,
    },
    /// Take a key away at once: one that came by a roll which is called off, or one that others have
    Remove {
        /// The zone
        zone: String,
        /// The key's number
        key: u16,
        /// Even if it is needed; another that the zone has takes its place
        #[arg(long)]
        anyway: bool,
    },
    /// Ask the parent to take the DS away, by CDS and CDNSKEY records, before a zone is signed no longer
    Unsign {
        /// The zone
        zone: String,
        /// Ask for the DS again
        #[arg(long)]
        cancel: bool,
    },
    /// Take a key of BIND: `K….private`, with `K….key` beside it
    Import {
        /// The zone
        zone: String,
        /// The file
        file: PathBuf,
        /// What it signs; else `K….state` says so, or whether it is the only key that a DS can point at
        #[arg(long, value_enum)]
        role: Option<Which>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    /// ECDSA P-256 with SHA-256, as nearly all validators know
    #[value(name = "ecdsap256sha256")]
    EcdsaP256,
    /// Ed25519
    Ed25519,
}

impl From<How> for Algorithm {
    fn from(how: How) -> Self {
        match how {
            How::EcdsaP256 => Self::EcdsaP256,
            How::Ed25519 => Self::Ed25519,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Hash {
    /// As all parents take it
    Sha256,
    /// For parents that ask for it
    Sha384,
}

impl From<Hash> for Digest {
    fn from(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::Sha256,
            Hash::Sha384 => Self::Sha384,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Signs everything
    Csk,
    /// Signs the keys
    Ksk,
    /// Signs all but the keys
    Zsk,
}

impl From<Which> for Role {
    fn from(which: Which) -> Self {
        match which {
            Which::Csk => Self::Csk,
            Which::Ksk => Self::Ksk,
            Which::Zsk => Self::Zsk,
        }
    }
}

impl Keys {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let path = config_path(config)?;
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let config = config::read(&path, &mut sources, &mut found);
        let Some(config) = config.filter(|_| found.errors() == 0) else {
            complain(&sources, &found);
            return Err(Stop::configuration(verdict(&found)));
        };
        let keys = Folder {
            ring: Keyring::at(&config.dnssec.keys),
            json: self.json,
        };
        if let Some(What::New { .. } | What::Import { .. }) = &self.what {
            let state = config.server.state.as_deref();
            if state.is_some_and(|state| config.dnssec.keys.starts_with(state)) {
                make_state(&config.server).map_err(Stop::no)?;
            }
        }
        match &self.what {
            None => {
                let zones = config.zones.iter().filter(|zone| zone.signed.is_some());
                keys.list(&zones.map(|zone| zone.name.clone()).collect::<Vec<_>>())
            }
            Some(What::New {
                zone,
                algorithm,
                split,
            }) => keys.make(&named(zone)?, (*algorithm).into(), *split),
            Some(What::Ds { zone, digest }) => keys.ds(&named(zone)?, (*digest).into()),
            Some(What::Dnskey { zone }) => keys.dnskey(&named(zone)?),
            Some(What::Roll { zone, role }) => keys.roll(&named(zone)?, role.map(Into::into)),
            Some(What::DsSeen { zone, ttl }) => keys.ds_seen(&named(zone)?, ttl.as_secs()),
            Some(What::Remove { zone, key, anyway }) => keys.remove(&named(zone)?, *key, *anyway),
            Some(What::Unsign { zone, cancel }) => keys.unsign(&named(zone)?, *cancel),
            Some(What::Import { zone, file, role }) => {
                keys.import(&named(zone)?, file, role.map(Into::into))
            }
        }
    }
}

fn named(zone: &str) -> Result<Name, Stop> {
    Name::absolute(zone).map_err(|e| Stop {
        message: format!("\"{zone}\" is no zone's name: {e}"),
        code: 2,
    })
}

fn time(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "a time like `7d` or `36h`".into())
}

/// The folder of keys, and how to tell of it.
struct Folder {
    ring: Keyring,
    json: bool,
}

impl Folder {
    fn list_of(&self, zone: &Name) -> Result<KeyList, Stop> {
        self.ring.list(zone).map_err(Stop::no)
    }

    fn done(&self, key: &KeyEntry, text: &str) -> ExitCode {
        if self.json {
            print_json(key);
        } else {
            print(text);
        }
        ExitCode::SUCCESS
    }
}

/// Keys are of the world's time.
fn now() -> Time {
    Time::from_secs(clock::wall())
}
