//! The dashboard: what it tells pages, what it refuses, and what a person sees in a browser.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::admin::{address, folder, orders, token};
use crate::browser::{Browser, bridge};
use crate::common::certificates::Authority;
use crate::common::nodes::Does;
use crate::program::{Folder, PATIENCE, Server, eventually};
use crate::world::{World, server, zone};

/// A connection to the control socket on which this was asked.
fn asking(socket: &Path, head: &str, body: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let len = body.len();
    let question = format!("{head}\r\nHost: 127.0.0.1:8053\r\nContent-Length: {len}\r\n\r\n{body}");
    stream.write_all(question.as_bytes()).unwrap();
    BufReader::new(stream)
}

/// The status and the other lines of a head.
fn head(from: &mut impl BufRead) -> (u16, Vec<String>) {
    let lines = from.lines().map(Result::unwrap);
    let mut lines = lines.take_while(|line| !line.is_empty());
    let status = lines.next().unwrap();
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    (status, lines.map(|l| l.to_lowercase()).collect())
}

/// The next message of a stream of events.
fn message(from: &mut impl BufRead) -> Value {
    let mut lines = from.lines().map(Result::unwrap);
    let line = lines.find_map(|l| Some(l.strip_prefix("data: ")?.to_owned()));
    serde_json::from_str(&line.unwrap()).unwrap()
}

fn json(socket: &Path, path: &str) -> Value {
    let mut answer = asking(
        socket,
        &format!("GET {path} HTTP/1.1\r\nConnection: close"),
        "",
    );
    assert_eq!(head(&mut answer).0, 200, "{path}");
    let mut body = String::new();
    answer.read_to_string(&mut body).unwrap();
    serde_json::from_str(&body).unwrap()
}

#[test]
fn pages_are_told_everything_and_then_what_changes() {
    let world = World::of(72, 3);
    let server = Server::start(&world.config(""));
    let socket = server.folder.path("nearmost.sock");
    let mut page = asking(&socket, "GET /v1/events HTTP/1.1", "");
    let (status, lines) = head(&mut page);
    assert_eq!(status, 200);
    assert!(
        lines.contains(&"content-type: text/event-stream".into()),
        "{lines:?}"
    );
    let all = message(&mut page);
    let states: Vec<(&str, &str)> = all["nodes"].as_array().unwrap().iter().map(state).collect();
    assert_eq!(states, [("fra", "up"), ("nyc", "up"), ("tyo", "up")]);
    assert_eq!(all["server"]["names"][0], "get.example.org");
    assert_eq!(all["events"].as_array().unwrap().len(), 3, "first checks");

    let before = json(&socket, "/v1/regions?pool=site&family=4");
    assert_eq!(serves(&before), HashSet::from(["fra", "nyc", "tyo"]));
    world.now(0, Does::Answer(500, "<b>oops</b>".into()));
    let (mut row, mut view, mut event) = (Value::Null, Value::Null, Value::Null);
    while row.is_null() || view.is_null() || event.is_null() {
        let news = message(&mut page);
        let rows = news["nodes"].as_array().into_iter().flatten();
        let mut down = rows.filter(|row| state(row) == ("fra", "down"));
        row = down.next().cloned().unwrap_or(row);
        let changed = &news["server"]["view"];
        view = if changed.is_null() {
            view
        } else {
            changed.clone()
        };
        event = if news["events"].is_null() {
            event
        } else {
            news["events"][0].clone()
        };
    }
    let ip = world.ip(0);
    assert_eq!(row["why"], format!("web {ip}: status 500, expected 2xx"));
    assert!(row["strip"].as_str().unwrap().ends_with('d'), "{row}");
    assert_eq!(
        (&event["node"], &event["to"]),
        (&"fra".into(), &"down".into())
    );
    let after = json(&socket, "/v1/regions?pool=site&family=4");
    assert_eq!(after["view"], view);
    assert_ne!(after["view"], before["view"]);
    assert_eq!(serves(&after), HashSet::from(["nyc", "tyo"]));
    let mut none = asking(&socket, "GET /v1/regions?pool=site&family=6 HTTP/1.1", "");
    assert_eq!(head(&mut none).0, 404, "no node has IPv6");
}

fn state(row: &Value) -> (&str, &str) {
    (
        row["node"].as_str().unwrap(),
        row["state"].as_str().unwrap(),
    )
}

/// The nodes that some part of the world is given.
fn serves(region: &Value) -> HashSet<&str> {
    let cells = region["cells"].as_array().unwrap();
    let node = |cell: &[Value]| {
        let number = usize::try_from(cell[2].as_i64().unwrap()).unwrap();
        region["nodes"][number].as_str().unwrap()
    };
    cells.chunks(3).map(node).collect()
}

#[test]
fn pages_that_do_not_listen_are_bounded() {
    let world = World::of(73, 1);
    let server = Server::start(&world.config(""));
    let socket = server.folder.path("nearmost.sock");
    let open = || {
        let mut page = asking(&socket, "GET /v1/events HTTP/1.1", "");
        (head(&mut page).0, page)
    };
    let mut pages: Vec<_> = (0..32).map(|_| open()).collect();
    assert!(pages.iter().all(|(status, _)| *status == 200));
    assert_eq!(open().0, 503, "all are taken");
    assert_eq!(server.run(&["health"]).code, 0, "others are answered");
    pages.pop();
    eventually("one that is closed makes room", || {
        (open().0 == 200).then_some(())
    });
}

#[test]
fn other_sites_are_refused_and_pages_told_to_ask_nobody_else() {
    let world = World::of(74, 2);
    let server = Server::start(&world.config(""));
    let socket = server.folder.path("nearmost.sock");
    for path in [
        "/",
        "/page.css",
        "/page.js",
        "/icon.svg",
        "/v1/status",
        "/nowhere",
    ] {
        let (_, lines) = head(&mut asking(&socket, &format!("GET {path} HTTP/1.1"), ""));
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(lines.iter().any(|l| l == line), "{path}: {line}: {lines:?}");
        }
    }
    let order = r#"{"nodes":["fra"],"state":"drained","why":"","who":"mallory","until":null}"#;
    let post = |lines: &str| {
        let head_ = format!("POST /v1/order HTTP/1.1\r\n{lines}");
        head(&mut asking(&socket, &head_, order)).0
    };
    let plain = "Content-Type: application/json";
    assert_eq!(
        post(&format!("{plain}\r\nOrigin: https://evil.example")),
        403
    );
    assert_eq!(post(&format!("{plain}\r\nSec-Fetch-Site: cross-site")), 403);
    assert_eq!(
        post("Content-Type: text/plain"),
        415,
        "as a form could send it"
    );
    assert_eq!(server.json(&["status"])["orders"], Value::Array(Vec::new()));
    assert_eq!(
        post(&format!("{plain}\r\nOrigin: http://127.0.0.1:8053")),
        200
    );
    assert_eq!(server.json(&["status"])["orders"][0]["node"], "fra");
}

/// Words that would be markup were they not kept words.
const EVIL: &str = "<img src=x class=evil onerror=this>";

#[test]
fn a_person_watches_and_acts_in_a_browser() {
    let Some(browser) = Browser::start(1440, 1300) else {
        return;
    };
    let world = World::of(75, 4);
    let server = Server::start(&world.config(""));
    let url = format!("http://{}/", bridge(&server.folder.path("nearmost.sock")));
    browser.open(&url);
    browser.until("document.querySelectorAll('#rows tr[data-state=up]').length == 4");
    browser.until("document.querySelectorAll('#cells path').length >= 4");
    browser.until("document.querySelectorAll('#marks .mark').length == 4");
    assert_eq!(browser.text("#link"), "live");
    browser.run("window.loaded = 'once'");

    // A node goes down, and says so in words that no page may believe.
    world.now(0, Does::Redirect(format!("http://elsewhere/{EVIL}")));
    browser.until("document.querySelector('#rows tr[data-node=fra]').dataset.state == 'down'");
    let colour = "return getComputedStyle(document.querySelector('.mark[data-node=fra]')).color";
    assert_eq!(browser.run(colour), "rgb(200, 32, 43)");
    assert!(browser.text("tr[data-node=fra] .why").contains(EVIL));
    browser.until("document.querySelector('#events .to-down')");

    // An operator takes another out, and lets it back.
    browser.click("tr[data-node=nyc] button");
    browser.write("#order-why", EVIL);
    browser.write("#order-who", "ola");
    browser.click("#order-do");
    browser.until("document.querySelector('#rows tr[data-node=nyc]').dataset.state == 'drained'");
    let order = server.json(&["status"])["orders"][0].clone();
    assert_eq!(
        (&order["node"], &order["why"]),
        (&"nyc".into(), &EVIL.into())
    );
    browser.until("document.querySelector('#done').textContent.includes('safe to stop')");
    browser.click("tr[data-node=nyc] button");
    browser.click("#order-do");
    browser.until("document.querySelector('#rows tr[data-node=nyc]').dataset.state == 'up'");

    // Somebody asks why a client is given what it is given.
    browser.write("#from", "20.0.3.7");
    browser.click("#question button");
    browser.until("document.querySelector('#answer .given')");
    assert!(
        browser.text("#answer").contains("Given: tyo."),
        "{}",
        browser.text("#answer")
    );
    browser.write("#from", "nonsense");
    browser.click("#question button");
    browser.until("document.querySelector('#answer .error')");

    assert_eq!(
        browser.run("return window.loaded"),
        "once",
        "never loaded again"
    );
    assert_eq!(
        browser.run("return document.querySelector('.evil')"),
        Value::Null
    );
    // That the address was nonsense is the server's word, which the browser writes down as its own error.
    let complaints = browser.complaints();
    assert!(
        complaints
            .iter()
            .all(|line| line.contains("/v1/explain?") && line.contains("400")),
        "{complaints:?}"
    );
    assert_eq!(complaints.len(), 1);

    // With the keyboard alone: past all to the table, and to the first button in it.
    browser.open(&url);
    browser.until("document.querySelectorAll('#rows tr').length == 4");
    let (tab, enter) = ("\u{e004}", "\u{e007}");
    browser.press(tab);
    assert_eq!(
        browser.run("return document.activeElement.className"),
        "skip"
    );
    browser.press(enter);
    browser.until("document.activeElement.id == 'nodes'");
    for _ in 0..8 {
        browser.press(tab);
    }
    browser.until("document.activeElement.matches('#rows tr:first-child button')");
    browser.press(enter);
    browser.until("document.querySelector('#order').open");
    let name = browser.run("return document.querySelector('#rows tr').dataset.node");
    assert_eq!(name, "fra", "trouble is first");
    assert_eq!(browser.text("#order-title"), "Drain fra");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn two_hundred_nodes_are_shown_in_a_small_page() {
    let Some(browser) = Browser::start(390, 844) else {
        return;
    };
    let (mut config, nodes) = (server() + zone() + "[pool.site]\n", 200);
    for number in 0..nodes {
        let (lat, lon) = (number % 12 * 10 - 50, number * 7 % 340 - 170);
        config += &format!("[node.n{number}]\nat = [{lat}, {lon}]\nip = [\"127.76.0.{number}\"]\n");
    }
    let server = Server::start(&config);
    browser.open(&format!(
        "http://{}/",
        bridge(&server.folder.path("nearmost.sock"))
    ));
    browser.until("document.querySelectorAll('#rows tr').length == 200");
    browser.until("document.querySelectorAll('#marks .mark').length == 200");
    let wide = browser.run("return document.documentElement.scrollWidth");
    assert!(
        wide.as_i64().unwrap() <= 390,
        "{wide}: a phone would have to scroll"
    );
    let files = "return performance.getEntries().filter(e => e.encodedBodySize && !e.name.includes('/v1/')) \
        .map(e => [e.name, e.encodedBodySize])";
    let files = browser.run(files);
    let files = files.as_array().unwrap();
    let octets: u64 = files.iter().map(|f| f[1].as_u64().unwrap()).sum();
    assert!(files.len() >= 6, "{files:?}");
    assert!(octets < 400 * 1024, "{octets}");
    let paint = browser.run("return performance.getEntriesByType('paint').at(-1).startTime");
    println!(
        "{octets} octets in {} files, painted after {paint} ms",
        files.len()
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_browser_over_tls_asks_for_a_token_and_may_what_its_role_may() {
    let Some(browser) = Browser::start(1200, 1000) else {
        return;
    };
    let world = World::of(108, 2);
    let (cert, key) = Authority::new("servers").pair(&["127.0.0.1"]);
    let tools = Folder::new();
    let (reader, first) = token(&tools, "mira", "reader");
    let (operator, second) = token(&tools, "ola", "operator");
    let admin = format!(
        "[admin]\nlisten = [\"127.0.0.1:0\"]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n{first}{second}"
    );
    let folder = folder(&world, &admin);
    folder.write("tls/cert.pem", &cert);
    folder.write("tls/key.pem", &key);
    let server = Server::start_in(&folder);
    let bare = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    let show = |token: &str| {
        browser.until("document.querySelector('#token').open");
        browser.write("#token-is", token);
        browser.click("#token .buttons button:not(.quiet)");
    };
    let drain = || {
        browser.click("tr[data-node=nyc] button");
        browser.write("#order-why", "a look");
        browser.write("#order-who", "somebody else");
        browser.click("#order-do");
    };

    browser.open(&format!("https://{}/", address(&server)));
    show("nonsense");
    browser.until("document.querySelector('#token-said').textContent.includes('not accepted')");
    show(&bare(&reader));
    browser.until("document.querySelectorAll('#rows tr[data-state=up]').length == 2");
    assert_eq!(browser.text("#link"), "live");
    drain();
    let refused = "a token of the role operator is needed";
    browser.until(&format!(
        "document.querySelector('#order').textContent.includes('{refused}')"
    ));
    assert_eq!(orders(&server), Value::Array(Vec::new()));

    browser.run("sessionStorage.clear()");
    browser.open(&format!("https://{}/", address(&server)));
    show(&bare(&operator));
    browser.until("document.querySelectorAll('#rows tr[data-state=up]').length == 2");
    drain();
    browser.until("document.querySelector('#rows tr[data-node=nyc]').dataset.state == 'drained'");
    assert_eq!(orders(&server)[0]["who"], "ola", "the token's own name");
}
