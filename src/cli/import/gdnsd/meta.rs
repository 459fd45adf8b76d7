//! Resources of datacenters: metafo, which tries one after the other, and geoip, which tries them in an order of the client's own.

use std::net::IpAddr;

use super::leaf::{self, Scope, Site};
use super::map::{self, List, Row};
use super::plan::{Means, Plan};
use super::resources::Resources;
use super::vscf::Value;
use crate::cli::import::Work;
use crate::cli::import::system::{Arm, Choice, Reached};
use crate::diagnostic::Span;

/// A datacenter of one resource.
enum Datacenter {
    Choices(Plan),
    /// A name that is given as it stands.
    Alias(String, Span),
}

impl<'a> Resources<'a> {
    /// A resource of datacenters; `only` one of them.
    pub(super) fn meta(
        &mut self,
        plugin: &str,
        name: &str,
        only: Option<&str>,
        scope: &Scope<'a>,
        span: Span,
    ) -> Option<Means> {
        let own = *scope.0.last()?;
        let Some(dcmap) = own.get("dcmap") else {
            self.work.report.lost(
                own.span,
                format!("{plugin}!{name} has no dcmap"),
                "leave it out",
            );
            return None;
        };
        let map = match plugin {
            "geoip" => {
                let map = own.get("map").and_then(Value::text).unwrap_or("");
                let maps = self.plugin("geoip").and_then(|t| t.get("maps"));
                let Some(map) = maps.and_then(|m| m.get(map)) else {
                    self.work.report.lost(
                        own.span,
                        format!("geoip!{name}: there is no map \"{map}\""),
                        "give its names plain records, or a pool",
                    );
                    return None;
                };
                self.databases(map);
                Some(map)
            }
            _ => None,
        };
        if let Some(dc) = only {
            let Some(value) = dcmap.get(dc) else {
                self.work.report.lost(
                    span,
                    format!("{plugin}!{name} has no datacenter {dc}"),
                    "give the name plain records, or a pool",
                );
                return None;
            };
            return Some(match self.datacenter(name, dc, value, scope, map)? {
                Datacenter::Choices(plan) => Means::Plan(plan),
                Datacenter::Alias(name, _) => Means::Alias(name),
            });
        }
        let mut datacenters = Vec::new();
        for (key, value) in dcmap.entries() {
            if let Some(dc) = self.datacenter(name, &key.text, value, scope, map) {
                datacenters.push((key.text.clone(), dc));
            }
        }
        let rows = match map {
            Some(map) => map::rows(map, self.folder, self.work),
            None => {
                let list = own.get("datacenters").map(Value::texts).unwrap_or_default();
                vec![Row {
                    from: Vec::new(),
                    list: List::Datacenters(list.into_iter().map(str::to_owned).collect()),
                    span: own.span,
                }]
            }
        };
        let order = match map.and_then(|m| m.get("datacenters")) {
            Some(list) => list.texts().into_iter().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        Some(Means::Plan(self.compose(
            name,
            &rows,
            &order,
            datacenters,
            map,
        )))
    }

    fn databases(&mut self, map: &Value) {
        if let Some(value) = map.get("geoip2_db")
            && let Some(text) = value.text()
        {
            let path = self.folder.join("geoip").join(text);
            match path.canonicalize() {
                Ok(path) if !self.work.system.databases.contains(&path) => self.work.system.databases.push(path),
                Ok(_) => {}
                Err(_) => self.work.report.lost(value.span, format!("database {text} is not there"), "write its path in `databases` of [geo]; until then the small one inside nearmost is used"),
            }
        }
        for key in ["geoip_db", "geoip_db_v4_overlay"] {
            if let Some(value) = map.get(key) {
                let what = format!(
                    "database {}, of MaxMind's first format",
                    value.text().unwrap_or("")
                );
                self.work.report.lost(value.span, what, "fetch GeoLite2-City.mmdb and write its path in `databases` of [geo]; until then the small one inside nearmost is used");
            }
        }
    }

    /// The value of a datacenter: addresses, a table for another plugin, a reference, or a name.
    fn datacenter(
        &mut self,
        resource: &str,
        dc: &str,
        value: &'a Value,
        scope: &Scope<'a>,
        map: Option<&Value>,
    ) -> Option<Datacenter> {
        let plugin = scope
            .find("plugin")
            .and_then(Value::text)
            .unwrap_or("multifo");
        let at = self.coordinates.of(dc, map);
        let site = Site {
            name: resource,
            datacenter: Some(dc),
            at,
            span: value.span,
        };
        if let Some(text) = value.text().filter(|t| t.parse::<IpAddr>().is_err()) {
            let reference = match text.strip_prefix('%') {
                Some(rest) => rest.split_once('!').or(Some((rest, ""))),
                None => text.strip_prefix('!').map(|resource| (plugin, resource)),
            };
            let Some((plugin, resource)) = reference else {
                return Some(Datacenter::Alias(text.to_owned(), value.span));
            };
            return self.refers(plugin, resource, &site);
        }
        let plugin = match value.get("plugin").and_then(Value::text) {
            Some(plugin) => plugin,
            // Plain addresses are always all given.
            None if !value.is_table() => "multifo",
            None => plugin,
        };
        match plugin {
            "multifo" | "simplefo" | "weighted" => {
                let plan = leaf::plan(plugin, &site, &scope.with(value), self.work)?;
                Some(Datacenter::Choices(plan))
            }
            "metafo" => match self.meta(
                plugin,
                &format!("{resource}-{dc}"),
                None,
                &scope.with(value),
                value.span,
            )? {
                Means::Plan(plan) => Some(Datacenter::Choices(plan)),
                _ => None,
            },
            _ => {
                self.work.report.lost(
                    value.span,
                    format!("plugin {plugin} of datacenter {dc}"),
                    "give it plain addresses",
                );
                None
            }
        }
    }

    /// `%plugin!resource` in the place of a datacenter's addresses.
    fn refers(&mut self, plugin: &str, resource: &str, site: &Site<'_>) -> Option<Datacenter> {
        if let "multifo" | "simplefo" | "weighted" = plugin
            && let Some(table) = self.plugin(plugin)
            && let Some(own) = table.get(resource)
        {
            let plan = leaf::plan(plugin, site, &Scope(vec![table, own]), self.work)?;
            return Some(Datacenter::Choices(plan));
        }
        match self.means(plugin, resource, site.span)? {
            Means::Plan(plan) => Some(Datacenter::Choices(plan)),
            Means::Alias(name) => Some(Datacenter::Alias(name, site.span)),
            Means::Fixed(addresses) => {
                let dc = site.datacenter.unwrap_or(site.name);
                let node = self.work.system.node(
                    &[dc.to_owned(), format!("{}-{dc}", site.name)],
                    Reached::Addresses(addresses),
                    None,
                    site.span,
                );
                Some(Datacenter::Choices(Plan::of(vec![Choice {
                    label: dc.to_owned(),
                    nodes: vec![node],
                }])))
            }
        }
    }

    /// The plans of datacenters. A name that stands last is no node: it is what `plan` answers when nobody is left.
    fn known(
        &mut self,
        name: &str,
        rows: &[Row],
        datacenters: Vec<(String, Datacenter)>,
        map: Option<&Value>,
        plan: &mut Plan,
    ) -> Vec<(String, Plan)> {
        let last = last_resort(rows, &datacenters);
        let mut known: Vec<(String, Plan)> = Vec::new();
        for (dc, means) in datacenters {
            match means {
                Datacenter::Choices(inner) => known.push((dc, inner)),
                Datacenter::Alias(to, _) if last.as_deref() == Some(&*dc) => {
                    plan.none = format!("cname:{}", to.trim_end_matches('.'));
                }
                Datacenter::Alias(to, span) => {
                    let reached = Reached::Name(to.trim_end_matches('.').to_owned());
                    let node = self.work.system.node(
                        &[dc.clone(), format!("{name}-{dc}")],
                        reached,
                        None,
                        span,
                    );
                    if let Some(at) = self.coordinates.of(&dc, map) {
                        self.work.system.nodes[node].at.get_or_insert(at);
                    }
                    let mut inner = Plan::of(vec![Choice {
                        label: dc.clone(),
                        nodes: vec![node],
                    }]);
                    inner.checked = false;
                    known.push((dc, inner));
                }
            }
        }
        known
    }

    /// Rows of datacenters as arms of nodes.
    fn compose(
        &mut self,
        name: &str,
        rows: &[Row],
        order: &[String],
        datacenters: Vec<(String, Datacenter)>,
        map: Option<&Value>,
    ) -> Plan {
        let mut plan = Plan::of(Vec::new());
        plan.arms.clear();
        let known = self.known(name, rows, datacenters, map, &mut plan);
        self.services_of(&known, &mut plan);
        for (_, inner) in &known {
            plan.notes.extend(inner.notes.iter().cloned());
        }
        let auto: Vec<&(String, Plan)> = known
            .iter()
            .filter(|(dc, _)| self.coordinates.knows(dc, map))
            .collect();
        for row in rows {
            let arms = match &row.list {
                List::Auto => {
                    plan.nearest = true;
                    vec![Arm {
                        from: row.from.clone(),
                        uses: by_distance(&auto, self.work),
                    }]
                }
                List::Datacenters(list) => {
                    let inner: Vec<&Plan> = list
                        .iter()
                        .filter_map(|dc| known.iter().find(|(k, _)| k == dc))
                        .map(|(_, p)| p)
                        .collect();
                    plan.nearest |= inner.iter().any(|p| p.nearest);
                    self.one_after_the_other(row, &inner, &mut plan)
                }
            };
            for arm in arms {
                if !arm.uses.is_empty() {
                    plan.arms.push(arm);
                    continue;
                }
                let who = match &arm.from[..] {
                    [] => "everybody".to_owned(),
                    from => from.join(", "),
                };
                let what = format!("{who} gets no datacenter of {name}: that is no rule here");
                let instead = "give the nodes a `limit` with `except`";
                self.work.report.lost(row.span, what, instead);
            }
        }
        if plan.arms.last().is_none_or(|arm| !arm.from.is_empty()) {
            let uses = known
                .iter()
                .flat_map(|(_, p)| p.everybody().to_vec())
                .collect();
            plan.arms.push(Arm {
                from: Vec::new(),
                uses,
            });
        }
        if rows.last().is_some_and(|row| row.list == List::Auto) {
            self.unknown(rows, order, &known, map, &mut plan);
            plan.notes.push("By distance. gdnsd stops after auto_dc_limit datacenters (3 if not set); here every one is tried.".to_owned());
        }
        plan
    }

    /// Clients of whom nothing is known get the datacenters in the order of the map. `unknown_client` says so, but it also goes before the
    /// order of rules, and those for networks are of more weight.
    fn unknown(
        &mut self,
        rows: &[Row],
        order: &[String],
        known: &[(String, Plan)],
        map: Option<&Value>,
        plan: &mut Plan,
    ) {
        let nets = rows
            .iter()
            .any(|row| row.from.iter().any(|from| from.contains('/')));
        if let (true, Some(map)) = (nets, map) {
            let span = map.get("datacenters").map_or(map.span, |list| list.span);
            let what = "clients of whom nothing is known get the nearest to all cities of the world, not the first datacenter";
            self.work.report.lost(span, what, "`unknown_client` of the pool can say it, but orders the nodes for networks of unknown place too");
            return;
        }
        let inner = order
            .iter()
            .filter_map(|dc| known.iter().find(|(k, _)| k == dc));
        plan.unknown = distinct(inner.flat_map(|(_, p)| p.everybody().to_vec()));
    }

    /// The choices of several plans, one plan after the other. One of them may have arms of its own.
    fn one_after_the_other(&mut self, row: &Row, inner: &[&Plan], plan: &mut Plan) -> Vec<Arm> {
        let own = |p: &&&Plan| p.arms.len() > 1;
        if inner.iter().filter(own).count() > 1
            || inner.iter().any(|p| p.arms.len() > 1) && !row.from.is_empty()
        {
            self.work.report.lost(
                row.span,
                "maps within maps: of the inner ones that for everybody is taken",
                "write the rules of the pool by hand",
            );
        }
        let outer = inner.iter().find(own).filter(|_| row.from.is_empty());
        let Some(outer) = outer else {
            plan_of_one(inner, plan);
            return vec![Arm {
                from: row.from.clone(),
                uses: distinct(inner.iter().flat_map(|p| p.everybody().to_vec())),
            }];
        };
        plan.unknown = outer.unknown.clone();
        let arm = |arm: &Arm| Arm {
            from: arm.from.clone(),
            uses: distinct(inner.iter().flat_map(|p| match std::ptr::eq(*p, *outer) {
                true => arm.uses.clone(),
                false => p.everybody().to_vec(),
            })),
        };
        outer.arms.iter().map(arm).collect()
    }

    /// The service types of a pool are those of its datacenters, which should be the same.
    fn services_of(&mut self, known: &[(String, Plan)], plan: &mut Plan) {
        let checked: Vec<&(String, Plan)> = known.iter().filter(|(_, p)| p.checked).collect();
        let names = |p: &Plan| {
            p.services
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        let Some((first, inner)) = checked.first() else {
            return;
        };
        plan.services = inner.services.clone();
        for (dc, other) in &checked[1..] {
            if names(other) != names(inner) {
                let span = other
                    .services
                    .first()
                    .or(inner.services.first())
                    .map(|(_, span)| *span);
                if let Some(span) = span {
                    self.work.report.lost(span, format!("the service types of datacenter {dc}: those of {first} hold for the whole pool"), "a probe of kind \"exec\" can look at the address that it is given");
                }
            }
        }
    }
}

/// A plan that is one other with nothing beside it is that.
fn plan_of_one(inner: &[&Plan], plan: &mut Plan) {
    if let [one] = inner
        && plan.arms.is_empty()
        && one.unknown != plan.unknown
    {
        plan.unknown = one.unknown.clone();
    }
}

/// One choice of all nodes of datacenters; what stands second in its own is a spare, which comes after those of the same place.
fn by_distance(datacenters: &[&(String, Plan)], work: &mut Work) -> Vec<Choice> {
    let mut nodes: Vec<usize> = Vec::new();
    for (_, plan) in datacenters {
        for (rank, choice) in plan.everybody().iter().enumerate() {
            for &node in choice
                .nodes
                .iter()
                .filter(|n| !nodes.contains(n))
                .collect::<Vec<_>>()
            {
                if rank > 0 {
                    work.system.nodes[node].weight = Some(0);
                }
                nodes.push(node);
            }
        }
    }
    match nodes.is_empty() {
        true => Vec::new(),
        false => vec![Choice {
            label: "near".to_owned(),
            nodes,
        }],
    }
}

/// Each choice once.
fn distinct(choices: impl Iterator<Item = Choice>) -> Vec<Choice> {
    let mut out: Vec<Choice> = Vec::new();
    for choice in choices {
        if !out.iter().any(|c| c.nodes == choice.nodes) {
            out.push(choice);
        }
    }
    out
}

/// The one datacenter that is a name and stands last wherever it stands: what is answered when nobody is left.
fn last_resort(rows: &[Row], datacenters: &[(String, Datacenter)]) -> Option<String> {
    let alias = |dc: &&(String, Datacenter)| matches!(dc.1, Datacenter::Alias(..));
    let mut aliases = datacenters.iter().filter(alias);
    let (Some((name, _)), None) = (aliases.next(), aliases.next()) else {
        return None;
    };
    let last = |row: &Row| match &row.list {
        List::Auto => true,
        List::Datacenters(list) => {
            list.len() > 1
                && list
                    .iter()
                    .position(|dc| dc == name)
                    .is_none_or(|at| at + 1 == list.len())
        }
    };
    (datacenters.len() > 1 && rows.iter().all(last)).then(|| name.clone())
}
