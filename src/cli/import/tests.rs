//! What becomes of what the peers' manuals describe.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Work, gdnsd, place, powerdns, text};

/// The files that an import makes, and its report.
struct Made {
    files: BTreeMap<PathBuf, String>,
    report: String,
}

impl Made {
    /// Of a folder with these files.
    fn of(files: &[(&str, &str)], peer: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("nearmost-import-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut work = Work::default();
        match peer {
            "gdnsd" => gdnsd::import(&folder, &mut work),
            _ => powerdns::import(&[folder.join(files[0].0).display().to_string()], &mut work),
        }
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(work.found.list, []);
        place::settle(&mut work.system, &work.known, &mut work.report);
        work.system.name_probes();
        let report = work.report.text(&work.sources);
        let files = text::files(work.system, peer).into_iter();
        Self {
            files: files
                .map(|(name, text)| (name, String::from_utf8(text).unwrap()))
                .collect(),
            report: report.replace(&folder.display().to_string(), ""),
        }
    }

    fn has(&self, file: &str, lines: &[&str]) {
        let text = self.files.get(Path::new(file));
        let text = text.unwrap_or_else(|| panic!("no {file} in {:?}", self.files.keys()));
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "{line}: {text}");
        }
    }

    fn told(&self, lines: &[&str]) {
        let told: Vec<&str> = self.report.lines().skip(1).collect();
        assert_eq!(told.len(), lines.len(), "{}", self.report);
        for (told, line) in told.iter().zip(lines) {
            assert!(told.starts_with(line), "{line}: {}", self.report);
        }
    }
}

fn of_gdnsd(config: &str, records: &str) -> Made {
    let zone = format!("$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS ns.example.net.\n{records}");
    Made::of(&[("config", config), ("zones/example.org", &zone)], "gdnsd")
}

#[test]
fn the_three_ways_of_weighted() {
    let made = of_gdnsd(
        "plugins => { weighted => {
           one => { a => [ 192.0.2.1, 9 ], b => [ 192.0.2.2, 1 ] }
           groups => { g1 => { a => [ 192.0.2.3, 2 ], b => [ 192.0.2.4, 2 ] }, g2 => { a => [ 192.0.2.5, 3 ] } }
           many => { multi => true, up_thresh => 0.01, a => [ 192.0.2.6, 2 ], b => [ 192.0.2.7, 1 ] }
           names => { x => [ x.example.net., 5 ], y => [ y.example.net., 7 ] }
         } }",
        "one DYNA weighted!one\ngroups DYNA weighted!groups\nmany DYNA weighted!many\nnames DYNC weighted!names\n",
    );
    made.told(&["/config:4:31: multi of weighted many"]);
    made.has(
        "pools/one.toml",
        &[
            "nodes = [\"a\", \"b\"]",
            "near = \"20040km\"",
            "sticky = false",
            "none = \"nearest\"",
        ],
    );
    made.has("nodes/a.toml", &["ip = [\"192.0.2.1\"]", "weight = 9"]);
    made.has(
        "nodes/g1.toml",
        &["ip = [\"192.0.2.3\", \"192.0.2.4\"]", "weight = 4"],
    );
    made.has("pools/many.toml", &["answer = 2"]);
    made.has("nodes/x.toml", &["host = \"x.example.net\"", "weight = 5"]);
    made.has(
        "zones/example.org.zone",
        &["one 60/30 POOL one", "names 60/30 POOL names"],
    );
}

#[test]
fn datacenters_are_nodes_in_the_order_of_the_client() {
    let made = of_gdnsd(
        "service_types => { t => { plugin => tcp_connect, port => 873 } }
         plugins => {
           geoip => {
             maps => { m => { datacenters => [ a, b, c ], nets => { 2001:db8::/32 => c, 198.51.100.0/24 => [ b, a ] },
               map => { EU => { default => [ b, a ], DE => [ a ] }, NA => { US => { CA => [ c, a ], Dallas => [ b ] } } } } }
             resources => { r => { map => m, service_types => t, dcmap => { a => 192.0.2.1, b => [ 192.0.2.2, 192.0.2.3 ], c => last.example.net. } } }
           }
         }",
        "r 300 DYNC geoip!r\nb DYNA geoip!r/b\n",
    );
    made.told(&["/config:5:101: clients of Dallas"]);
    made.has(
        "pools/r.toml",
        &[
            "nodes = [\"c\", \"b\", \"a\"]",
            "probes = [\"t\"]",
            "    { from = [\"2001:db8::/32\"], use = [\"c\"] },",
            "    { from = [\"198.51.100.0/24\"], use = [\"b\", \"a\"] },",
            "    { from = [\"country:DE\"], use = [\"a\"] },",
            "    { from = [\"continent:EU\"], use = [\"b\", \"a\"] },",
            "    { from = [\"subdivision:US-CA\"], use = [\"c\", \"a\"] },",
            "    { use = [\"a\", \"b\", \"c\"] },",
        ],
    );
    made.has("nodes/b.toml", &["ip = [\"192.0.2.2\", \"192.0.2.3\"]"]);
    made.has("nodes/c.toml", &["host = \"last.example.net\""]);
    made.has("pools/r-b.toml", &["nodes = [\"b\"]"]);
    made.has(
        "probes/t.toml",
        &[
            "kind = \"tcp\"",
            "port = 873",
            "down = 10",
            "ok = 10",
            "up = 20",
            "timeout = \"5s\"",
        ],
    );
}

#[test]
fn service_types_without_like_are_told() {
    let made = of_gdnsd(
        "service_types => {
           page => { plugin => http_status, method => HEAD, up_thresh => 500 }
           run => { plugin => extmon, cmd => [ \"/bin/ping\", \"-c1\", \"%%ITEM%%\" ], interval => 9 }
           file => { plugin => extfile, file => states }
         }
         plugins => { multifo => {
           p => { service_types => [ page, run, file, down ], lb1 => 192.0.2.1, lb1_v6 => 2001:db8::1 }
         } }",
        "*.w DYNA multifo!p\n",
    );
    made.told(&[
        "/config:2:45: method of service type page",
        "/config:2:74: up_thresh of 500 in service type page: 100 is written",
        "/config:4:20: the file of service type file is of another form",
        "/config:7:55: service type down: nothing is checked",
    ]);
    made.has(
        "pools/p.toml",
        &[
            "nodes = [\"lb1\"]",
            "probes = [\"page\", \"run\", \"file\"]",
            "answer = \"all\"",
            "none = \"all\"",
        ],
    );
    made.has("nodes/lb1.toml", &["ip = [\"192.0.2.1\", \"2001:db8::1\"]"]);
    made.has(
        "probes/run.toml",
        &[
            "command = [\"/bin/ping\", \"-c1\", \"{address}\"]",
            "timeout = \"4500ms\"",
        ],
    );
    made.has(
        "probes/file.toml",
        &["file = \"/var/lib/gdnsd/extfile/states\""],
    );
    let page = &made.files[Path::new("probes/page.toml")];
    assert!(page.contains("host = \"w.example.org\""), "{page}");
}

#[test]
fn circles_and_gaps_of_resources_are_told() {
    let made = of_gdnsd(
        "plugins => { metafo => { resources => {
           a => { datacenters => [ x ], dcmap => { x => %metafo!b } }
           b => { datacenters => [ x ], dcmap => { x => %metafo!a } }
         } } }",
        "a DYNA metafo!a\nn DYNA multifo!none\nr DYNA reflect\n  MX 10 m\n",
    );
    assert!(
        made.report.contains("means itself, through others"),
        "{}",
        made.report
    );
    assert!(
        made.report.contains("multifo!none is not configured"),
        "{}",
        made.report
    );
    made.has(
        "zones/example.org.zone",
        &["; n DYNA multifo!none", "; r DYNA reflect", "r MX 10 m"],
    );
}

fn of_powerdns(records: &str) -> Made {
    let zone = format!("$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS ns.example.net.\n{records}");
    Made::of(&[("example.org.zone", &zone)], "powerdns")
}

#[test]
fn selectors_and_checks() {
    let made = of_powerdns(
        "a LUA A \"ifportup(443, {'192.0.2.1', '192.0.2.2'}, {selector='all'})\"\n\
         b LUA A \"ifurlup('https://h.example:8443/x?y', {{'192.0.2.1'}, {'192.0.2.2', '192.0.2.3'}}, {stringmatch='a.b', useragent='me', selector='hashed'})\"\n\
         c LUA A \"pickwhashed({{15, '192.0.2.4'}, {100, '192.0.2.5'}})\"\n\
         d LUA A \"pickrandomsample(2, {'192.0.2.1', '192.0.2.2', '192.0.2.3'})\"\n\
         e LUA CNAME \"pickrandom({'x.example.net', 'y.example.net.'})\"\n",
    );
    made.told(&["/example.org.zone:5:1: b.example.org.: option useragent"]);
    made.has(
        "pools/a.toml",
        &[
            "answer = \"all\"",
            "none = \"least-bad\"",
            "probes = [\"tcp-443\"]",
        ],
    );
    made.has(
        "pools/b.toml",
        &[
            "    { use = [\"a-1\", \"tag:b-set2\"] },",
            "none = \"nearest\"",
        ],
    );
    made.has(
        "probes/https-h.example.toml",
        &[
            "port = 8443",
            "path = \"/x?y\"",
            "expect = { status = 200, body = \"a\\\\.b\" }",
            "every = \"5s\"",
            "timeout = \"2s\"",
        ],
    );
    made.has("nodes/c-1.toml", &["weight = 15"]);
    let sticky = &made.files[Path::new("pools/c.toml")];
    assert!(!sticky.contains("sticky"), "{sticky}");
    made.has("pools/d.toml", &["answer = 2", "sticky = false"]);
    made.has(
        "nodes/x.example.net.toml",
        &[
            "host = \"x.example.net\"",
            "cname = true   # given once it has been resolved",
        ],
    );
}

#[test]
fn families_are_put_together_and_programs_are_kept() {
    let made = of_powerdns(
        "lon A 192.0.2.1\n\
         w LUA A \"pickrandom({'192.0.2.1', '192.0.2.2'})\"\n\
         w LUA AAAA \"pickrandom({'2001:db8::1', '2001:db8::2'})\"\n\
         p LUA A \";for i=1,2 do end return '192.0.2.9'\"\n\
         \x20 LUA TXT \"latlon()\"\n\
         m LUA A \"pickrandom({'192.0.2.1'})\"\n\
         m AAAA 2001:db8::9\n",
    );
    made.told(&[
        "/example.org.zone:7:1: LUA A of p.example.org., a program of its own: ;for i=1,2",
        "/example.org.zone:8:3: LUA TXT of p.example.org., only addresses",
        "/example.org.zone:10:1: 2001:db8::9 of m.example.org.",
    ]);
    made.has("nodes/lon.toml", &["ip = [\"192.0.2.1\", \"2001:db8::1\"]"]);
    made.has("pools/w.toml", &["nodes = [\"lon\", \"w-2\"]"]);
    made.has(
        "zones/example.org.zone",
        &[
            "w POOL w",
            "; p LUA A \";for i=1,2 do end return '192.0.2.9'\"",
            "p POOL p",
            ";   LUA TXT \"latlon()\"",
            "; m AAAA 2001:db8::9",
        ],
    );
    made.has("nodes/p-1.toml", &["ip = [\"192.0.2.9\"]"]);
}
