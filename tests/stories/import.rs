//! Systems of other name servers: read, written as ours, served, and asked.

use std::fs;
use std::sync::Arc;

use crate::common::nodes::Does;
use crate::program::{Folder, Server, eventually, ours};
use crate::question::Question;
use crate::world::{FRA, NYC, SITES, TYO, World};

/// gdnsd's configuration of three sites that are checked, and of some names beside.
fn gdnsd(world: &World) -> Folder {
    let folder = Folder::new();
    let ip = |number| world.ip(number);
    let config = format!(
        "options => {{ listen => [ 127.0.0.1 ], dns_port => 5353, tcp_timeout => 7 }} ; ours will listen elsewhere
service_types => {{
  web => {{ plugin => http_status, port => {port}, url_path => \"/ok\", vhost => get.example.org,
           ok_codes => [ 200, 301 ], interval => 1, up_thresh => 2, ok_thresh => 2, down_thresh => 2 }}
}}
plugins => {{ $include{{ plugins/geoip }}
  simplefo => {{ pair => {{ service_types => web, primary => {tyo}, secondary => {fra} }} }}
  weighted => {{ shared => {{ big => [ {fra}, 30 ] small => [ {nyc}, 10 ] }} }}
  static => {{ fixed => 192.0.2.7, other => www.example.net. }}
}}
",
        port = world.port(),
        tyo = ip(2),
        fra = ip(0),
        nyc = ip(1),
    );
    folder.write("gdnsd/config", &config);
    let geoip = format!(
        "geoip => {{
  maps => {{ world => {{
    geoip2_db => City.mmdb
    datacenters => [ fra, nyc, tyo ]
    auto_dc_coords => {{ fra => [ 50.1, 8.7 ] nyc => [ 40.7, -74 ] tyo => [ 35.7, 139.7 ] }}
    map => {{ EU => {{ SE => [ nyc, fra ] }} }}
  }} table => {{ datacenters => [ fra, nyc, tyo ], nets => {{ 20.9.1.0/24 => [ tyo, fra ], 20.9.0.0/16 => nyc }} }} }}
  resources => {{ table => {{
    map => table, service_types => web, dcmap => {{ fra => {fra}, nyc => {nyc}, tyo => {tyo} }}
  }} www => {{
    map => world, service_types => web
    dcmap => {{ fra => {fra}, nyc => [ {nyc} ], tyo => {{ lb1 => {tyo} }} }}
  }} }}
}}
metafo => {{ resources => {{ last => {{
  datacenters => [ world, away ], dcmap => {{ world => %geoip!www, away => away.example.net. }}
}} }} }}
",
        fra = ip(0),
        nyc = ip(1),
        tyo = ip(2),
    );
    folder.write("gdnsd/plugins/geoip", &geoip);
    folder.write(
        "gdnsd/zones/example.org",
        "@ SOA ns1 dns-admin ( 1 7200 30M 3D 900 ) ; times as gdnsd writes them
@ NS ns1
ns1 A 192.0.2.53
get 300/1 DYNA geoip!www   ; by place
    TXT \"one\" \"two\"
nyc DYNA geoip!www/nyc
table DYNA geoip!table
last 60/1 DYNC metafo!last
pair 60/1 DYNA simplefo!pair
shared 60 DYNA weighted!shared
fixed 42 DYNA static!fixed
other 42 DYNC static!other
$INCLUDE parts/more below
",
    );
    folder.write(
        "gdnsd/zones/parts/more",
        "host A 192.0.2.8\n$ORIGIN @Z\nat-zone A 192.0.2.9\n",
    );
    fs::create_dir(folder.path("gdnsd/geoip")).unwrap();
    let database = ours("tests/data/mmdb/GeoIP2-City-Test.mmdb");
    fs::copy(database, folder.path("gdnsd/geoip/City.mmdb")).unwrap();
    folder
}

/// Has the imported system listen where the story can ask it, and know where its clients are.
fn serve(folder: &Folder, old_listen: &str) -> Server {
    let served = Folder::new();
    let status = std::process::Command::new("cp")
        .args(["-r", "--", folder.path("new/.").to_str().unwrap()])
        .arg(served.path("."))
        .status()
        .unwrap();
    assert!(status.success());
    let main = fs::read_to_string(served.path("nearmost.toml")).unwrap();
    assert!(main.contains(old_listen), "{main}");
    let mut main = main.replace(old_listen, "listen = [\"127.0.0.1:0\"]\nat = \"FRA\"");
    if !main.contains("[geo]") {
        main += "\n[geo]\n";
    }
    for (_, at, net) in SITES {
        main += &format!("[[geo.override]]\nnet = \"{net}\"\nat = \"{at}\"\n");
    }
    main += "[[geo.override]]\nnet = \"20.0.9.0/24\"\nat = \"Stockholm, SE\"\n";
    main += "[[geo.override]]\nnet = \"20.0.8.0/24\"\nat = \"Boston, US\"\n";
    // Three of three mirrors may really die here.
    main += "[health]\nfreeze = \"0s\"\n";
    served.write("nearmost.toml", &main);
    Server::start_in(&Arc::new(served))
}

fn gives(server: &Server, name: &str, net: &str, expected: &[String]) {
    let question = Question::a(name).from(net);
    let mut last = Vec::new();
    eventually(&format!("{name} for {net} is {expected:?}"), || {
        last = server.ask(&question).addresses();
        (last == expected).then_some(())
    });
}

#[test]
fn a_system_of_gdnsd_answers_here_as_it_did_there() {
    let world = World::of(171, 3);
    let folder = gdnsd(&world);
    let ran = folder.run(&["import", "gdnsd", "gdnsd", "--to", "new"]);
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    for words in [
        "carried over: 1 zone, 6 records that pools answer, 6 pools, ",
        "everything carried over",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    let check = folder.run(&["-c", "new/nearmost.toml", "check"]);
    assert_eq!(check.code, 0, "{check:?}");
    let server = serve(&folder, "listen = [\"127.0.0.1:5353\"]");
    let (fra, nyc, tyo) = (world.ip(0), world.ip(1), world.ip(2));
    for (net, expected) in [(FRA, &fra), (NYC, &nyc), (TYO, &tyo), ("20.0.9.0/24", &nyc)] {
        gives(
            &server,
            "get.example.org",
            net,
            std::slice::from_ref(expected),
        );
    }
    for (net, expected) in [("20.9.1.0/24", &tyo), ("20.9.2.0/24", &nyc), (TYO, &fra)] {
        gives(
            &server,
            "table.example.org",
            net,
            std::slice::from_ref(expected),
        );
    }
    gives(&server, "nyc.example.org", FRA, std::slice::from_ref(&nyc));
    gives(&server, "pair.example.org", FRA, std::slice::from_ref(&tyo));
    let drawn = Question::a("shared.example.org").from(FRA);
    for expected in [&fra, &nyc] {
        eventually("both are drawn", || {
            (server.ask(&drawn).addresses() == [expected.as_str()]).then_some(())
        });
    }
    let dig = |arguments: &[&str]| server.dig(&[&["+short"], arguments].concat()).out;
    assert_eq!(dig(&["fixed.example.org", "A"]), "192.0.2.7\n");
    assert_eq!(dig(&["other.example.org", "A"]), "www.example.net.\n");
    assert_eq!(dig(&["host.below.example.org", "A"]), "192.0.2.8\n");
    assert_eq!(dig(&["at-zone.example.org", "A"]), "192.0.2.9\n");
    assert_eq!(dig(&["get.example.org", "TXT"]), "\"one\" \"two\"\n");
    // The site of Tokyo dies, then all.
    world.now(2, Does::Refuse);
    gives(&server, "pair.example.org", TYO, std::slice::from_ref(&fra));
    world.now(0, Does::Refuse);
    gives(&server, "get.example.org", FRA, std::slice::from_ref(&nyc));
    world.now(1, Does::Refuse);
    eventually("the last resort is given", || {
        (dig(&["last.example.org", "A"]) == "away.example.net.\n").then_some(())
    });
}

#[test]
fn lua_records_of_powerdns_answer_here_as_they_did_there() {
    let world = World::of(172, 3);
    let folder = Folder::new();
    let (fra, nyc, tyo) = (world.ip(0), world.ip(1), world.ip(2));
    let port = world.port();
    folder.write(
        "example.org.zone",
        &format!(
            "$TTL 300
@ IN SOA ns1 hostmaster 1 7200 1800 1209600 300
  IN NS ns1
ns1 IN A 192.0.2.53
fra IN A {fra}
up  IN LUA A \"ifportup({port}, {{'{fra}', '{nyc}'}}, {{selector='all', timeout=1, interval=2}})\"
sets 60 IN LUA A (\"ifurlup('http://get.example.org:{port}/', \"
      \"{{{{'{tyo}'}}, {{'{fra}', '{nyc}'}}}}, {{stringmatch='ok', selector='all', timeout=1, interval=2}})\")
who IN LUA A \";if continent('EU') then return '{fra}' elseif country({{'US','CA'}}) then return '{nyc}' else return '{tyo}' end\"
seen IN LUA A \"view({{ {{{{'20.0.2.0/24'}}, {{'{nyc}'}}}}, {{{{'0.0.0.0/0'}}, {{'{fra}'}}}} }})\"
both IN LUA A \"all({{'{fra}','{nyc}'}})\"
own  IN LUA A \";local t = {{}} for i = 1, 2 do t[i] = '{tyo}' end return t[1]\"
     IN TXT \"beside it\"
"
        ),
    );
    let ran = folder.run(&["import", "powerdns-lua", "example.org.zone", "--to", "new"]);
    assert_eq!((ran.code, &*ran.err), (1, ""), "{ran:?}");
    let lost: Vec<&str> = ran
        .out
        .lines()
        .filter(|l| l.starts_with("example.org.zone:"))
        .collect();
    assert_eq!(lost.len(), 1, "{ran:?}");
    assert!(
        lost[0].starts_with("example.org.zone:12:1: LUA A of own.example.org., a program"),
        "{lost:?}"
    );
    let zone = fs::read_to_string(folder.path("new/zones/example.org.zone")).unwrap();
    assert!(zone.contains("\n; own  IN LUA A \";local t"), "{zone}");
    let check = folder.run(&["-c", "new/nearmost.toml", "check"]);
    assert_eq!(check.code, 0, "{check:?}");
    let server = serve(&folder, "# listen = [\"192.0.2.53\"]");
    let both = [fra.clone(), nyc.clone()];
    gives(&server, "up.example.org", FRA, &both);
    gives(&server, "both.example.org", FRA, &both);
    for (net, who, seen) in [
        ("20.0.9.0/24", &fra, &fra),
        ("20.0.8.0/24", &nyc, &fra),
        (TYO, &tyo, &fra),
    ] {
        gives(&server, "who.example.org", net, std::slice::from_ref(who));
        gives(&server, "seen.example.org", net, std::slice::from_ref(seen));
    }
    gives(&server, "seen.example.org", NYC, std::slice::from_ref(&nyc));
    gives(&server, "own.example.org", FRA, std::slice::from_ref(&tyo));
    gives(&server, "sets.example.org", FRA, std::slice::from_ref(&tyo));
    world.now(2, Does::Answer(200, "no such text".into()));
    gives(&server, "sets.example.org", FRA, &both);
    world.now(1, Does::Refuse);
    gives(&server, "up.example.org", FRA, std::slice::from_ref(&fra));
}

#[test]
fn bad_input_is_told_and_nothing_of_anybodys_is_overwritten() {
    let folder = Folder::new();
    let ran = folder.run(&["import", "gdnsd", "missing", "--to", "new"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    folder.write("gdnsd/config", "options => {\n a b\n}\nplugins = [");
    folder.write("gdnsd/zones/example.org", "@ SOA ( a\n");
    let ran = folder.run(&["import", "gdnsd", "gdnsd", "--to", "new"]);
    assert_eq!(ran.code, 78, "{ran:?}");
    for words in [
        "gdnsd/config:2:4: error: expected = or => after a key",
        "gdnsd/config:4:11: error: this bracket is never closed",
        "gdnsd/zones/example.org:1:7: error: this parenthesis is never closed",
    ] {
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
    assert!(!folder.path("new").exists(), "nothing was written");
    folder.write(
        "example.org.zone",
        "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS ns.example.net.\n",
    );
    folder.write("new/zones/example.org.zone", "mine");
    let import = ["import", "powerdns-lua", "example.org.zone", "--to", "new"];
    let ran = folder.run(&import);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("new/zones/example.org.zone already"),
        "{ran:?}"
    );
    assert!(!folder.path("new/nearmost.toml").exists());
    // The same input gives the same output.
    let to = |name: &str| {
        let ran = folder.run(&["import", "powerdns-lua", "example.org.zone", "--to", name]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let text = |file: &str| fs::read_to_string(folder.path(&format!("{name}/{file}"))).unwrap();
        (text("nearmost.toml"), text("zones/example.org.zone"))
    };
    assert_eq!(to("one"), to("two"));
}
