//! Where datacenters are: the `auto_dc_coords` of gdnsd's maps.

use super::vscf::Value;
use crate::cli::import::report::Report;
use crate::cli::import::system::At;
use crate::diagnostic::Span;
use crate::geo::Point;

/// All places that maps state.
pub(super) struct Coordinates(Vec<Stated>);

struct Stated {
    /// The map, by its place.
    map: Span,
    datacenter: String,
    at: At,
}

impl Coordinates {
    /// Those of all maps of the configuration.
    pub(super) fn read(config: &Value, report: &mut Report) -> Self {
        let mut all = Vec::new();
        let maps = config
            .get("plugins")
            .and_then(|p| p.get("geoip")?.get("maps"));
        for (name, map) in maps.map(Value::entries).unwrap_or_default() {
            let places = map.get("auto_dc_coords").map(Value::entries);
            for (dc, place) in places.unwrap_or_default() {
                let numbers: Vec<f64> = place.items().iter().filter_map(Value::number).collect();
                let point = match numbers[..] {
                    [lat, lon] => Point::new(lat, lon),
                    _ => None,
                };
                let Some(Point { lat, lon }) = point else {
                    let what = format!("the place of datacenter {}", dc.text);
                    report.lost(place.span, what, "write `at` in its nodes");
                    continue;
                };
                all.push(Stated {
                    map: map.span,
                    datacenter: dc.text.clone(),
                    at: At {
                        lat,
                        lon,
                        why: format!("auto_dc_coords of {}", name.text),
                    },
                });
            }
        }
        Self(all)
    }

    /// Where a datacenter is: as this map says, else as the first that says it.
    pub(super) fn of(&self, datacenter: &str, map: Option<&Value>) -> Option<At> {
        let mut named = self.0.iter().filter(|s| s.datacenter == datacenter);
        let own = named.clone().find(|s| map.is_some_and(|m| m.span == s.map));
        own.or_else(|| named.next()).map(|s| s.at.clone())
    }

    /// Whether this map knows where a datacenter is.
    pub(super) fn knows(&self, datacenter: &str, map: Option<&Value>) -> bool {
        let own = |s: &Stated| s.datacenter == datacenter && map.is_some_and(|m| m.span == s.map);
        self.0.iter().any(own)
    }
}
