//! gdnsd's `plugins`: what a name of a plugin and a resource, such as `geoip!prod_www`, is here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use super::coordinates::Coordinates;
use super::leaf::{self, Scope, Site};
use super::plan::{Means, Plan};
use super::service::Services;
use super::vscf::Value;
use crate::cli::import::Work;
use crate::cli::import::system::{Draw, Pool};
use crate::diagnostic::Span;

/// Resources that mean each other deeper than this do so in a circle.
const DEEPEST: usize = 16;

/// What a record is answered by.
#[derive(Clone, Debug)]
pub(super) enum Answered {
    /// The pool of this name.
    Pool(String),
    Alias(String),
    Fixed(Vec<IpAddr>),
}

/// All resources of a configuration, made when they are first asked for.
pub(super) struct Resources<'a> {
    pub(super) work: &'a mut Work,
    config: &'a Value,
    pub(super) folder: &'a Path,
    services: Services,
    made: BTreeMap<String, Option<Answered>>,
    pub(super) coordinates: Coordinates,
    depth: usize,
}

impl<'a> Resources<'a> {
    pub(super) fn new(config: &'a Value, folder: &'a Path, work: &'a mut Work) -> Self {
        let coordinates = Coordinates::read(config, &mut work.report);
        Self {
            work,
            config,
            folder,
            services: Services::default(),
            made: BTreeMap::new(),
            coordinates,
            depth: 0,
        }
    }

    /// What answers a record with this right-hand side. What is missing was told of.
    pub(super) fn answered(&mut self, text: &str, span: Span) -> Option<Answered> {
        if let Some(known) = self.made.get(text) {
            return known.clone();
        }
        let (plugin, resource) = text.split_once('!').unwrap_or((text, ""));
        let answered = match self.means(plugin, resource, span) {
            Some(Means::Plan(plan)) => Some(Answered::Pool(self.pool(plugin, resource, plan))),
            Some(Means::Alias(name)) => Some(Answered::Alias(name)),
            Some(Means::Fixed(addresses)) => Some(Answered::Fixed(addresses)),
            None => None,
        };
        self.made.insert(text.to_owned(), answered.clone());
        answered
    }

    fn pool(&mut self, plugin: &str, resource: &str, plan: Plan) -> String {
        let types = self.config.get("service_types");
        let probes = self.services.probes(&plan.services, types, self.work);
        let mut notes = vec![format!("gdnsd's {plugin}!{resource}")];
        notes.extend(plan.notes);
        notes.dedup();
        let pool = Pool {
            name: String::new(),
            notes,
            probes,
            answer: plan.answer,
            draw: Draw::Random,
            nearest: plan.nearest,
            arms: plan.arms,
            unknown: plan.unknown,
            none: plan.none,
            led: Vec::new(),
        };
        let name = resource.replace('/', "-");
        self.work
            .system
            .pool(&[name.clone(), format!("{plugin}-{name}")], pool)
    }

    /// The plugin's table.
    pub(super) fn plugin(&self, plugin: &str) -> Option<&'a Value> {
        self.config.get("plugins")?.get(plugin)
    }

    pub(super) fn means(&mut self, plugin: &str, resource: &str, span: Span) -> Option<Means> {
        if self.depth >= DEEPEST {
            self.work.report.lost(
                span,
                format!("{plugin}!{resource} means itself, through others"),
                "break the circle",
            );
            return None;
        }
        self.depth += 1;
        let means = self.means_of(plugin, resource, span);
        self.depth -= 1;
        means
    }

    fn means_of(&mut self, plugin: &str, resource: &str, span: Span) -> Option<Means> {
        let unknown = |work: &mut Work| {
            work.report.lost(
                span,
                format!("{plugin}!{resource} is not configured"),
                "give the name plain records, or a pool",
            );
            None
        };
        match plugin {
            "null" => return Some(Means::Fixed(vec![[0, 0, 0, 0].into(), [0u16; 8].into()])),
            "reflect" => {
                self.work.report.lost(
                    span,
                    "reflect, which answers with the client's address",
                    "`nearmost explain` and `nearmost geo` show what is thought of a client",
                );
                return None;
            }
            "static" => {
                let Some(text) = self.plugin("static").and_then(|t| t.get(resource)?.text()) else {
                    return unknown(self.work);
                };
                return Some(match text.parse() {
                    Ok(ip) => Means::Fixed(vec![ip]),
                    Err(_) => Means::Alias(text.to_owned()),
                });
            }
            "multifo" | "simplefo" | "weighted" => {
                let Some(table) = self.plugin(plugin) else {
                    return unknown(self.work);
                };
                let Some(own) = table.get(resource) else {
                    return unknown(self.work);
                };
                let site = Site {
                    name: resource,
                    datacenter: None,
                    at: None,
                    span: own.span,
                };
                let scope = Scope(vec![table, own]);
                return leaf::plan(plugin, &site, &scope, self.work).map(Means::Plan);
            }
            "metafo" | "geoip" => {}
            _ => {
                self.work.report.lost(
                    span,
                    format!("plugin {plugin}"),
                    "a pool with a probe of kind \"exec\" may do the same",
                );
                return None;
            }
        }
        let (name, only) = match resource.split_once('/') {
            Some((name, dc)) => (name, Some(dc)),
            None => (resource, None),
        };
        let Some(table) = self.plugin(plugin) else {
            return unknown(self.work);
        };
        let Some(own) = table.get("resources").and_then(|r| r.get(name)) else {
            return unknown(self.work);
        };
        let scope = Scope(vec![table, own]);
        self.meta(plugin, name, only, &scope, span)
    }
}
