//! `keys`: the keys of signed zones; made, shown as the parent needs them, rolled over.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::table::table;
use super::{Format, NO, Stop, ago, complain, config_path, print, print_json, verdict};
use crate::clock::Clock;
use crate::config;
use crate::control::{Changing, KeyEntry, KeyState, Keyring, activate};
use crate::diagnostic::{Diagnostics, Sources};
use crate::dnssec::{Algorithm, Key, Role, read_bind};
use crate::health::Time;
use crate::zone::Name;

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    format: Format,
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
    },
    /// Take a key of BIND: `K….private`, with `K….key` beside it
    Import {
        /// The zone
        zone: String,
        /// The file
        file: std::path::PathBuf,
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Signs everything
    Csk,
    /// Signs the keys
    Ksk,
    /// Signs all but the keys
    Zsk,
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
            json: self.format.json,
        };
        match &self.what {
            None => {
                let zones = config.zones.iter().filter(|zone| zone.signed.is_some());
                keys.list(&zones.map(|zone| zone.name.clone()).collect::<Vec<_>>())
            }
            Some(What::New {
                zone,
                algorithm,
                split,
            }) => keys.make(&named(zone)?, *algorithm, *split),
            Some(What::Ds { zone }) => keys.ds(&named(zone)?),
            Some(What::Roll { zone, role }) => keys.roll(&named(zone)?, *role),
            Some(What::DsSeen { zone }) => keys.ds_seen(&named(zone)?),
            Some(What::Import { zone, file }) => keys.import(&named(zone)?, file),
        }
    }
}

fn named(zone: &str) -> Result<Name, Stop> {
    Name::absolute(zone).map_err(|e| Stop {
        message: format!("\"{zone}\" is no zone's name: {e}"),
        code: 2,
    })
}

struct Folder {
    ring: Keyring,
    json: bool,
}

impl Folder {
    fn list_of(&self, zone: &Name) -> Result<Vec<KeyEntry>, Stop> {
        self.ring.list(zone).map_err(Stop::no)
    }

    fn list(&self, zones: &[Name]) -> Result<ExitCode, Stop> {
        let now = now().as_secs();
        let mut all = Vec::new();
        for zone in zones {
            all.push((zone, self.list_of(zone)?));
        }
        if self.json {
            let one = |(zone, keys): &(&Name, Vec<KeyEntry>)| json!({ "zone": zone.to_string(), "keys": keys });
            print_json(&all.iter().map(one).collect::<Vec<Value>>());
            return Ok(ExitCode::SUCCESS);
        }
        if all.is_empty() {
            print(
                "no zone is signed: make a key with `nearmost keys new ZONE`, and write `signed = true` into [zone.\"ZONE\"]\n",
            );
            return Ok(ExitCode::SUCCESS);
        }
        let rows = all.iter().flat_map(|(zone, keys)| {
            keys.iter().map(move |key| {
                vec![
                    zone.to_string(),
                    key.tag.to_string(),
                    key.role.clone(),
                    key.algorithm.clone(),
                    state(key.state).into(),
                    ago(now.saturating_sub(key.since)),
                    next(key).into(),
                ]
            })
        });
        let heads = ["zone", "key", "role", "algorithm", "state", "since", "next"];
        print(&table(&heads, rows));
        let keyless = all.iter().any(|(_, keys)| keys.is_empty());
        Ok(if keyless {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn make(&self, zone: &Name, algorithm: How, split: bool) -> Result<ExitCode, Stop> {
        let roles: &[Role] = if split {
            &[Role::Ksk, Role::Zsk]
        } else {
            &[Role::Csk]
        };
        let algorithm = match algorithm {
            How::EcdsaP256 => Algorithm::EcdsaP256,
            How::Ed25519 => Algorithm::Ed25519,
        };
        let made = self.ring.change(zone, |keys| {
            if !keys.list.is_empty() {
                return Err(format!(
                    "zone {zone} has keys already: `nearmost keys roll {zone}` begins to replace one"
                ));
            }
            for &role in roles {
                let made = Key::make(algorithm).map_err(|e| e.to_string())?;
                keys.add((algorithm, role, KeyState::Active), &made, now())?;
            }
            Ok(keys.list.clone())
        });
        let mut text = String::new();
        for KeyEntry {
            tag,
            role,
            algorithm,
            ..
        } in made.map_err(Stop::no)?
        {
            text += &format!("made key {tag} ({role}, {algorithm})\n");
        }
        text += &format!(
            "\nWrite `signed = true` into [zone.\"{}\"] and reload. When answers are signed, give the parent zone:\n\n",
            zone.to_string().trim_end_matches('.')
        );
        if !self.json {
            print(&text);
        }
        self.ds(zone)
    }

    fn ds(&self, zone: &Name) -> Result<ExitCode, Stop> {
        let keys = self.ring.keys(zone).map_err(Stop::no)?;
        let lower = zone.to_lower();
        let records: Vec<(u16, String)> = keys
            .wanted_ds()
            .into_iter()
            .map(|key| (key.public.tag, key.public.ds_text(lower.wire())))
            .collect();
        if self.json {
            let one = |(tag, ds): &(u16, String)| json!({ "key": tag, "ds": ds });
            let records: Vec<Value> = records.iter().map(one).collect();
            print_json(&json!({ "zone": zone.to_string(), "records": records }));
        } else {
            let line = |(_, ds): &(u16, String)| format!("{zone} IN DS {ds}\n");
            print(&records.iter().map(line).collect::<String>());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn roll(&self, zone: &Name, role: Option<Which>) -> Result<ExitCode, Stop> {
        let wanted = role.map(|role| match role {
            Which::Csk => Role::Csk,
            Which::Ksk => Role::Ksk,
            Which::Zsk => Role::Zsk,
        });
        let rolled = self.ring.change(zone, |keys| begin(keys, zone, wanted));
        let (old, new) = rolled.map_err(Stop::no)?;
        let (tag, next) = (new.tag, next(&new));
        self.done(
            &new,
            &format!("key {tag} is published beside key {old}\n{next}\n"),
        )
    }

    fn ds_seen(&self, zone: &Name) -> Result<ExitCode, Stop> {
        let seen = self.ring.change(zone, |keys| {
            let list = &mut keys.list;
            let ready = list.iter().find(|key| key.state == KeyState::Ready);
            let mut new = ready
                .cloned()
                .ok_or_else(|| format!("no key of zone {zone} waits for its DS"))?;
            activate(list, new.tag, now().as_secs());
            new.state = KeyState::Active;
            Ok(new)
        });
        let new = seen.map_err(Stop::no)?;
        let tag = new.tag;
        self.done(&new, &format!("key {tag} signs from now on; the one before it stays published until its signatures are gone\n"))
    }

    fn import(&self, zone: &Name, file: &Path) -> Result<ExitCode, Stop> {
        let wrong = |why: String| Stop::no(format!("{}: {why}", file.display()));
        let read = |path: &Path| std::fs::read_to_string(path);
        let private = read(file).map_err(|e| wrong(e.to_string()))?;
        let public = read(&file.with_extension("key")).map_err(|e| {
            wrong(format!(
                "the file {} beside it: {e}",
                file.with_extension("key").display()
            ))
        })?;
        let (algorithm, role, pkcs8) =
            read_bind(&private, &public).map_err(|e| wrong(e.to_string()))?;
        let taken = self.ring.change(zone, |keys| {
            let alone = keys.list.is_empty() && role == Role::Ksk;
            let active = |key: &KeyEntry| key.state == KeyState::Active && key.role == role.word();
            let state = match keys.list.iter().any(active) {
                true => KeyState::Published,
                false => KeyState::Active,
            };
            let added = keys.add((algorithm, role, state), &pkcs8, now())?;
            Ok((added, alone))
        });
        let (added, alone) = taken.map_err(Stop::no)?;
        let hint = match alone {
            true => "A key of these flags alone signs only the keys: take the other one too.\n",
            false => "",
        };
        self.done(
            &added,
            &format!(
                "took key {} ({}, {})\n{hint}",
                added.tag, added.role, added.algorithm
            ),
        )
    }

    fn done(&self, key: &KeyEntry, text: &str) -> Result<ExitCode, Stop> {
        if self.json {
            print_json(key);
        } else {
            print(text);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn now() -> Time {
    Clock::start().now()
}

/// Publishes a key beside the one that it is to replace; the tag of that one, and the new key.
fn begin(
    keys: &mut Changing<'_>,
    zone: &Name,
    wanted: Option<Role>,
) -> Result<(u16, KeyEntry), String> {
    let active = keys.list.iter();
    let active = active.filter(|key| key.state == KeyState::Active);
    let of_role = |key: &&KeyEntry| wanted.is_none_or(|role| key.role == role.word());
    let [old] = active.filter(of_role).collect::<Vec<_>>()[..] else {
        return Err(format!(
            "zone {zone} has not exactly one active key to replace: say which with --role, and see `nearmost keys`"
        ));
    };
    let coming = |key: &&KeyEntry| {
        key.role == old.role && matches!(key.state, KeyState::Published | KeyState::Ready)
    };
    if let Some(coming) = keys.list.iter().find(coming) {
        let (coming, old) = (coming.tag, old.tag);
        return Err(format!(
            "key {coming} is about to replace key {old} already"
        ));
    }
    let (algorithm, role) = (Algorithm::named(&old.algorithm), Role::named(&old.role));
    let (Some(algorithm), Some(role)) = (algorithm, role) else {
        return Err(format!("key {} is of no known kind", old.tag));
    };
    let old = old.tag;
    let made = Key::make(algorithm).map_err(|e| e.to_string())?;
    let new = keys.add((algorithm, role, KeyState::Published), &made, now())?;
    Ok((old, new))
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Published => "published",
        KeyState::Ready => "ready",
        KeyState::Active => "active",
        KeyState::Retired => "retired",
    }
}

fn next(key: &KeyEntry) -> &'static str {
    match (key.state, key.role.as_str()) {
        (KeyState::Published, _) => "two hours after it was published it is known everywhere",
        (KeyState::Ready, "zsk") => "it signs within a minute",
        (KeyState::Ready, _) => "put its DS into the parent, then `keys ds-seen`",
        (KeyState::Active, _) => "-",
        (KeyState::Retired, _) => "it goes when its signatures are in no cache",
    }
}
