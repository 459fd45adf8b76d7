//! `geo`: where an address is, and who says so.

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::running::Running;
use super::{Format, NO, Stop, config_path, load_parts, print, print_json};
use crate::admin::{Located, locate};

#[derive(Debug, Args)]
pub(super) struct Geo {
    /// The address
    ip: IpAddr,
    /// Ask the files, not the running server
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: Format,
}

impl Geo {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let located: Located = if self.offline {
            let parts = load_parts(&config_path(config)?)?;
            let databases = parts.atlas.databases.iter().map(ToString::to_string);
            locate(&parts.atlas.world, databases.collect(), self.ip)
        } else {
            Running::of(config)?.ask(&format!("/v1/geo?ip={}", self.ip))?
        };
        if self.format.json {
            print_json(&located);
        } else {
            print(&text(&located));
        }
        Ok(if located.source == "unknown" {
            ExitCode::from(NO)
        } else {
            ExitCode::SUCCESS
        })
    }
}

fn text(located: &Located) -> String {
    let mut out = format!("address   {}\n", located.ip);
    if located.looked_up != located.ip {
        out += &format!("looked up {}\n", located.looked_up);
    }
    located
        .at
        .iter()
        .for_each(|(lat, lon)| out += &format!("point     {lat:.4}, {lon:.4}\n"));
    located
        .near
        .iter()
        .for_each(|(city, km)| out += &format!("near      {city} ({km:.0} km)\n"));
    located
        .country
        .iter()
        .for_each(|c| out += &format!("country   {c}\n"));
    located
        .subdivision
        .iter()
        .for_each(|part| out += &format!("part      {part}\n"));
    located
        .asn
        .iter()
        .for_each(|asn| out += &format!("asn       {asn}\n"));
    out += &format!(
        "source    {}\nblock     {}\n",
        located.source, located.block
    );
    if !located.routable {
        out += "note      not routable: in an ECS option it counts only where an override speaks of it\n";
    }
    located
        .databases
        .iter()
        .for_each(|d| out += &format!("database  {d}\n"));
    out
}
