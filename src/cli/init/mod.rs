//! `init`: a first configuration that works, and what to do with it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Stop, none_is_there, print};
use crate::zone::Name;

#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where to write it; made if it does not exist
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The name that clients will ask for
    #[arg(long, value_name = "NAME", default_value = "get.example.org")]
    zone: String,
    /// The name of a server that will answer for it, once for each, or several between commas [default: ns1 and ns2 beside the zone]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    ns: Vec<String>,
}

impl Init {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        if config.is_some() {
            return Err(usage(
                "init writes a configuration and reads none: name a FOLDER in the place of -c",
            ));
        }
        let files = Names::of(&self.zone, &self.ns).map_err(usage)?.files();
        none_is_there(files.iter().map(|(name, _)| self.folder.join(name)))?;
        let mut out = String::new();
        for (name, text) in files {
            let path = self.folder.join(name);
            write(&path, &text).map_err(|e| Stop::no(format!("{}: {e}", path.display())))?;
            out += &format!("wrote {}\n", path.display());
        }
        let readme = self.folder.join("README.md");
        out += &format!(
            "What to edit, and how to have {} delegated: {}\n",
            self.zone.trim_end_matches('.'),
            readme.display()
        );
        print(&out);
        Ok(ExitCode::SUCCESS)
    }
}

fn usage(message: impl Into<String>) -> Stop {
    Stop {
        message: message.into(),
        code: 2,
    }
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// A zone and its name servers.
struct Names {
    zone: Name,
    ns: Vec<Name>,
}

/// More name servers than this fit no referral over UDP without EDNS.
const MOST: usize = 13;

impl Names {
    fn of(zone: &str, ns: &[String]) -> Result<Self, String> {
        let zone = host(zone)?;
        let beside = match zone.parent() {
            Some(parent) if parent != Name::root() => bare(&parent),
            _ => bare(&zone),
        };
        let ns: Vec<Name> = match ns {
            [] => vec![
                host(&format!("ns1.{beside}"))?,
                host(&format!("ns2.{beside}"))?,
            ],
            given => given
                .iter()
                .map(|name| host(name))
                .collect::<Result<_, _>>()?,
        };
        if ns.len() > MOST {
            return Err(format!("at most {MOST} name servers are possible here"));
        }
        for (number, name) in ns.iter().enumerate() {
            if ns[..number].contains(name) {
                return Err(format!("{} is given twice", bare(name)));
            }
            if *name == zone {
                let name = bare(name);
                return Err(format!(
                    "{name} cannot be its own name server: its addresses are those of nodes"
                ));
            }
        }
        Ok(Self { zone, ns })
    }

    /// All files, by their path in the folder.
    fn files(&self) -> Vec<(PathBuf, String)> {
        let mut files = Vec::new();
        let mut add = |path: String, text: String| files.push((PathBuf::from(path), text));
        let name = bare(&self.zone);
        let (table, file) = self.zone_texts();
        let main = include_str!("nearmost.toml").replace("@ZONE@\n", &table);
        add("nearmost.toml".into(), main);
        if let Some(file) = file {
            add(format!("zones/{name}.zone"), file);
        }
        for (node, text) in [
            ("lon", include_str!("nodes/lon.toml")),
            ("nyc", include_str!("nodes/nyc.toml")),
            ("tyo", include_str!("nodes/tyo.toml")),
        ] {
            add(format!("nodes/{node}.toml"), text.into());
        }
        let parent = self.zone.parent().unwrap_or_else(Name::root);
        let parent = match parent == Name::root() {
            true => "of the root".into(),
            false => format!("`{}`", bare(&parent)),
        };
        let readme = include_str!("README.md")
            .replace("@NAME@", &name)
            .replace("@PARENT@", &parent)
            .replace("@RECORDS@", &self.delegation())
            .replace("@GLUE@", &self.glue_words());
        add("README.md".into(), readme);
        files
    }

    /// The zone as a table of `nearmost.toml`; or, where it must hold addresses of name servers, as a file of its own.
    fn zone_texts(&self) -> (String, Option<String>) {
        let name = bare(&self.zone);
        if !self.ns.iter().any(|ns| ns.is_within(&self.zone)) {
            let ns: Vec<String> = self
                .ns
                .iter()
                .map(|ns| format!("\"{}\"", bare(ns)))
                .collect();
            let ns = ns.join(", ");
            let table = format!(
                "# SOA and NS are made from this. Any other record wants a zone file: zones/{name}.zone, in the place of this table.\n\
                 [zone.\"{name}\"]\nns = [{ns}]\n\
                 pools = {{ \"@\" = \"site\" }}        # \"@\" is the zone's own name; \"deb\" would be deb.{name}\n\
                 ttl = \"300/30\"                  # seconds: 300 while all is steady, never below 30\n\n"
            );
            return (table, None);
        }
        let first = &self.ns[0];
        let mut file = format!(
            "; The zone {name}: its name servers stand in it, so it holds their addresses.\n$TTL 3600\n\
             @ SOA {first} hostmaster 1 7200 1800 1209600 300\n"
        );
        for ns in &self.ns {
            file += &format!("@ NS {ns}\n");
        }
        for line in self.addresses(|ns| ns.is_within(&self.zone)) {
            file += &format!("{line}\n");
        }
        file += "; A and AAAA come from the pool; TTL 300 while all is steady, never below 30.\n@ 300/30 POOL site\n";
        let table = format!("# The zone is zones/{name}.zone.\n\n");
        (table, Some(file))
    }

    /// Address records of the name servers that `wanted` picks.
    fn addresses(&self, wanted: impl Fn(&Name) -> bool) -> Vec<String> {
        let numbered = (53u8..).zip(&self.ns).filter(|(_, ns)| wanted(ns));
        numbered
            .flat_map(|(n, ns)| {
                [
                    format!("{ns} A 192.0.2.{n}"),
                    format!("{ns} AAAA 2001:db8::{n}"),
                ]
            })
            .collect()
    }

    /// Whether the parent's zone must, or most likely does, hold a name server's addresses.
    fn is_parents(&self, ns: &Name) -> bool {
        let parent = self.zone.parent().unwrap_or_else(Name::root);
        ns.is_within(&self.zone) || parent != Name::root() && ns.is_within(&parent)
    }

    fn delegation(&self) -> String {
        let records = self.ns.iter().map(|ns| format!("{} NS {ns}\n", self.zone));
        let addresses = self.addresses(|ns| self.is_parents(ns));
        let addresses = addresses.iter().map(|line| format!("{line}\n"));
        records.chain(addresses).collect()
    }

    fn glue_words(&self) -> String {
        let within = self.ns.iter().filter(|ns| ns.is_within(&self.zone));
        let parents = self.ns.iter().filter(|ns| self.is_parents(ns));
        let mut words = match (within.count(), parents.count()) {
            (0, 0) => {
                "No glue is needed: the name servers have their addresses in zones of their own.\n"
                    .to_owned()
            }
            (0, _) => {
                "The address records belong in that zone if it does not have them yet.\n".to_owned()
            }
            _ => format!(
                "The address records are the glue; those of name servers within {} stand in `zones/{0}.zone` too, and must be the same there.\n",
                bare(&self.zone)
            ),
        };
        if self.ns.iter().any(|ns| self.is_parents(ns)) {
            words += "Put the name servers' real addresses in the place of 192.0.2.53 and those that follow.\n";
        }
        words
    }
}

/// A name that can stand in all files as it is.
fn host(text: &str) -> Result<Name, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name = Name::absolute(text)
        .ok()
        .filter(|name| *name != Name::root());
    name.filter(|_| text.chars().all(plain))
        .map(|name| name.to_lower())
        .ok_or_else(|| format!("\"{text}\" is no name of a zone or of a server"))
}

/// Without its final dot.
fn bare(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}
