//! Who asks the admin API, over the control socket and over TCP: who is let in, what is refused, and that what is refused changes nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::common::certificates::Authority;
use crate::program::{Folder, PATIENCE, Server, eventually};
use crate::world::World;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Reads to the end; none if nothing came.
    pub fn of(stream: &mut impl Read) -> Option<Self> {
        let mut octets = Vec::new();
        // A TLS server that closes without a farewell is an error after all that it said.
        let _ = stream.read_to_end(&mut octets);
        let text = String::from_utf8_lossy(&octets).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A request with these lines in its head, after which the connection is to end.
pub fn request(method: &str, path: &str, lines: &[&str], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !lines.iter().any(|l| l.starts_with("host:")) {
        text += "host: 127.0.0.1\r\n";
    }
    if !body.is_empty() {
        text += &format!("content-length: {}\r\n", body.len());
    }
    lines.iter().for_each(|line| text += &format!("{line}\r\n"));
    text + "\r\n" + body
}

pub fn say(mut stream: impl Read + Write, text: &str) -> Option<Answer> {
    // Who is refused early is not listened to.
    let _ = stream.write_all(text.as_bytes());
    Answer::of(&mut stream)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn by_socket(server: &Server, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
    let socket = server.folder.path("control.sock");
    let stream = UnixStream::connect(socket).unwrap();
    say(stream, &request(method, path, lines, body)).unwrap()
}

pub const JSON: &str = "content-type: application/json";
pub const DRAIN: &str =
    r#"{"nodes":["fra"],"state":"drained","why":"disk","who":"root","until":null}"#;

/// Makes a token with the verb: the header line that shows it, and its table.
pub fn token(folder: &Folder, name: &str, role: &str) -> (String, String) {
    let made = folder.run(&["token", name, "--role", role, "--json"]);
    assert_eq!(made.code, 0, "{made:?}");
    let made = made.json();
    let hash = made["hash"].as_str().unwrap();
    (
        format!("authorization: Bearer {}", made["token"].as_str().unwrap()),
        format!("[[admin.token]]\nname = \"{name}\"\nrole = \"{role}\"\nhash = \"{hash}\"\n"),
    )
}

/// A folder with the world's configuration and these lines at its end.
pub fn folder(world: &World, admin: &str) -> Arc<Folder> {
    let config = world.config("");
    let config = config.replacen("[server]", "[server]\nstate = \".\"", 1);
    Arc::new(Folder::with(&format!("{config}\n{admin}")))
}

/// Where the log says that the admin API is.
pub fn address(server: &Server) -> SocketAddr {
    let line = server.log.wait(&["the admin API is on"]);
    line.split("://").nth(1).unwrap().trim().parse().unwrap()
}

pub fn orders(server: &Server) -> Value {
    server.json(&["status"])["orders"].clone()
}

#[test]
fn tokens_open_what_their_role_allows_and_nothing_else_changes_anything() {
    let world = World::of(101, 2);
    let tools = Folder::new();
    let (reader, first) = token(&tools, "mira", "reader");
    let (operator, second) = token(&tools, "ola", "operator");
    let admin = format!("[admin]\nlisten = [\"127.0.0.1:0\"]\nplain = true\n{first}{second}");
    let server = Server::start_in(&folder(&world, &admin));
    let at = address(&server);
    let ask = |method: &str, path: &str, lines: &[&str], body: &str| {
        say(connect(at), &request(method, path, lines, body)).unwrap()
    };

    let stranger = ask("GET", "/v1/status", &[], "");
    assert_eq!(stranger.status, 401, "{stranger:?}");
    assert!(
        stranger.head.contains("www-authenticate: bearer"),
        "{stranger:?}"
    );
    assert!(stranger.json()["error"].is_string());
    for path in ["/healthz", "/readyz", "/v1/openapi.json", "/"] {
        assert_eq!(ask("GET", path, &[], "").status, 200, "{path}");
    }
    assert_eq!(ask("GET", "/v1/status", &[&reader], "").status, 200);
    assert_eq!(ask("GET", "/v1/status", &[&operator], "").status, 200);

    refuses(at, &reader, &operator);
    assert_eq!(orders(&server), json!([]));

    assert_eq!(
        ask("POST", "/v1/order", &[JSON, &operator], DRAIN).status,
        200
    );
    let order = orders(&server)[0].clone();
    assert_eq!(
        (&order["node"], &order["who"]),
        (&json!("fra"), &json!("ola")),
        "not who the client says"
    );
    server
        .log
        .wait(&["admin: ola (127.0.0.1:", "order", "drained", ": done"]);
    server
        .log
        .wait(&["admin: ola (127.0.0.1:", "no JSON", ": refused: "]);
    let history = server.json(&["history"]);
    let events = history.as_array().unwrap();
    let told = |node: &str, from: &str, to: &str| {
        let mut all = events.iter().filter(|e| e["node"] == node);
        all.any(|e| (&e["from"], &e["to"], &e["who"]) == (&json!(from), &json!(to), &json!("ola")))
    };
    assert!(told("fra", "measured", "drained"), "{history}");
    assert!(told("*", "order", "refused"), "{history}");
    assert!(
        !server.log.text().contains("nearmost_"),
        "no token in the log"
    );
}

/// All that is wrong with a request is refused, in words.
fn refuses(at: SocketAddr, reader: &str, operator: &str) {
    let large = format!("{{\"why\":\"{}\"}}", "x".repeat(1 << 20));
    let wrong = operator.replace("nearmost_", "nearmost-");
    let refused: [(u16, &str, &str, &[&str], &str); 16] = [
        (401, "POST", "/v1/order", &[JSON], DRAIN),
        (401, "POST", "/v1/order", &[JSON, &wrong], DRAIN),
        (
            401,
            "POST",
            "/v1/order",
            &[JSON, "authorization: Basic b2xhOm9sYQ=="],
            DRAIN,
        ),
        (403, "POST", "/v1/order", &[JSON, reader], DRAIN),
        (
            415,
            "POST",
            "/v1/order",
            &["content-type: text/plain", operator],
            DRAIN,
        ),
        (415, "POST", "/v1/order", &[operator], DRAIN),
        (413, "POST", "/v1/order", &[JSON, operator], &large),
        (400, "POST", "/v1/order", &[JSON, operator], "{\"nodes\": ["),
        (
            422,
            "POST",
            "/v1/order",
            &[JSON, operator],
            "{\"nodes\": 7}",
        ),
        (
            422,
            "POST",
            "/v1/order",
            &[JSON, operator],
            r#"{"nodes":["fra"],"state":"drained","why":"a\nb"}"#,
        ),
        (
            403,
            "POST",
            "/v1/order",
            &[JSON, operator, "origin: https://evil.example"],
            DRAIN,
        ),
        (
            403,
            "POST",
            "/v1/order",
            &[JSON, operator, "sec-fetch-site: cross-site"],
            DRAIN,
        ),
        (
            403,
            "POST",
            "/v1/order",
            &[JSON, operator, "host: evil.example"],
            DRAIN,
        ),
        (405, "GET", "/v1/order", &[operator], ""),
        (405, "DELETE", "/v1/status", &[operator], ""),
        (404, "POST", "/v1/orders", &[JSON, operator], DRAIN),
    ];
    for (status, method, path, lines, body) in refused {
        let answer = say(connect(at), &request(method, path, lines, body)).unwrap();
        let what = format!("{method} {path} {lines:?}: {answer:?}");
        assert_eq!(answer.status, status, "{what}");
        assert!(answer.json()["error"].is_string(), "{what}");
    }
}

/// Says something over TLS to who is certified by `authority`, with a certificate and its key of one's own or without.
fn over_tls(
    at: SocketAddr,
    authority: &Authority,
    client: Option<(String, String)>,
    text: &str,
) -> Option<Answer> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some((cert, key)) => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(vec![cert], key).unwrap()
        }
    };
    let name = ServerName::try_from("admin.example.org").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    say(StreamOwned::new(tls, connect(at)), text)
}

#[test]
fn over_tls_a_certificate_is_asked_for_beside_the_token() {
    let world = World::of(102, 1);
    let (ours, theirs) = (Authority::new("servers"), Authority::new("clients"));
    let (cert, key) = ours.pair(&["admin.example.org"]);
    let (line, table) = token(&Folder::new(), "ola", "reader");
    let admin = format!(
        "[admin]\nlisten = [\"127.0.0.1:0\"]\ncert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\nclient_ca = \"tls/clients.pem\"\n{table}"
    );
    let folder = folder(&world, &admin);
    let missing = folder.run(&["check"]);
    assert_eq!(missing.code, 78, "{missing:?}");
    assert!(
        missing.err.contains("cert.pem: No such file"),
        "{missing:?}"
    );
    folder.write("tls/cert.pem", &cert);
    folder.write("tls/key.pem", &theirs.pair(&["x"]).1);
    folder.write("tls/clients.pem", &theirs.pem);
    let other = folder.run(&["check"]);
    assert!(
        other.err.contains("not the key of the certificate"),
        "{other:?}"
    );
    folder.write("tls/key.pem", &key);
    let server = Server::start_in(&folder);
    let at = address(&server);

    let ask = |client: Option<(String, String)>, lines: &[&str]| {
        let lines = [&["host: admin.example.org"], lines].concat();
        let text = request("GET", "/v1/status", &lines, "");
        over_tls(at, &ours, client, &text)
    };
    let status = |answer: Option<Answer>| answer.map(|a| a.status);
    assert_eq!(status(ask(None, &[&line])), None, "no certificate");
    assert_eq!(
        status(ask(Some(ours.pair(&["ola"])), &[&line])),
        None,
        "of another authority"
    );
    assert_eq!(
        status(ask(Some(theirs.pair(&["ola"])), &[])),
        Some(401),
        "no token"
    );
    assert_eq!(
        status(ask(Some(theirs.pair(&["ola"])), &[&line])),
        Some(200)
    );
    let plain = say(connect(at), &request("GET", "/v1/status", &[&line], ""));
    assert_eq!(status(plain), None, "no TLS");
}

#[test]
fn who_is_slow_or_greedy_is_let_go() {
    let world = World::of(103, 1);
    let (line, table) = token(&Folder::new(), "ola", "operator");
    let admin = format!("[admin]\nlisten = [\"127.0.0.1:0\"]\nplain = true\n{table}");
    let server = Server::start_in(&folder(&world, &admin));
    let at = address(&server);
    let mut head = connect(at);
    head.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
        .unwrap();
    let mut body = connect(at);
    let slow = request(
        "POST",
        "/v1/order",
        &[JSON, &line, "content-length: 100"],
        "",
    );
    body.write_all(slow.as_bytes()).unwrap();
    let mut many = request("GET", "/v1/status", &[&line], "");
    let lines: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    many.insert_str(many.len() - 2, &lines);
    assert_eq!(say(connect(at), &many).unwrap().status, 431);
    let long = request(
        "GET",
        "/v1/status",
        &[&format!("x-long: {}", "y".repeat(40_000))],
        "",
    );
    assert_eq!(say(connect(at), &long).unwrap().status, 431);

    // Others are answered meanwhile, and more of them than there may be at one time.
    let crowd: Vec<TcpStream> = (0..70).map(|_| connect(at)).collect();
    drop(crowd);
    let status = request("GET", "/v1/status", &[&line], "");
    // Once it is seen that the crowd is gone: they are all one client.
    let answered = eventually("others are answered", || say(connect(at), &status));
    assert_eq!(answered.status, 200);
    let mut octets = Vec::new();
    let _ = head.read_to_end(&mut octets);
    let answer = String::from_utf8_lossy(&octets);
    assert!(!answer.contains("200 OK"), "{answer}");
    assert_eq!(Answer::of(&mut body).unwrap().status, 408);
    assert_eq!(orders(&server), json!([]));
}

#[test]
fn tokens_and_certificates_change_while_it_runs() {
    let world = World::of(104, 1);
    let tools = Folder::new();
    let (old, table) = token(&tools, "ola", "reader");
    let (new, other) = token(&tools, "ola", "reader");
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let tls = "cert = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n";
    let admin = format!("[admin]\nlisten = [\"127.0.0.1:0\"]\n{tls}");
    let folder = folder(&world, &format!("{admin}{table}"));
    let certify = |authority: &Authority| {
        let (cert, key) = authority.pair(&["admin.example.org"]);
        folder.write("tls/cert.pem", &cert);
        folder.write("tls/key.pem", &key);
    };
    certify(&first);
    let server = Server::start_in(&folder);
    let at = address(&server);
    let ask = |authority: &Authority, line: &str| {
        let lines = ["host: admin.example.org", line];
        let answer = over_tls(
            at,
            authority,
            None,
            &request("GET", "/v1/status", &lines, ""),
        );
        answer.map(|a| a.status)
    };
    assert_eq!(
        (ask(&first, &old), ask(&first, &new)),
        (Some(200), Some(401))
    );
    server.log.wait(&["without a valid token", "127.0.0.1:"]);

    let config = fs::read_to_string(folder.path("nearmost.toml")).unwrap();
    folder.write("nearmost.toml", &config.replace(&table, &other));
    let done = folder.run(&["reload"]);
    assert!(done.out.contains("admin.token 1"), "{done:?}");
    assert_eq!(
        (ask(&first, &old), ask(&first, &new)),
        (Some(401), Some(200))
    );

    // Nobody is told of a renewal.
    certify(&second);
    server
        .log
        .wait(&["files changed", "the admin API's certificate"]);
    assert_eq!((ask(&first, &new), ask(&second, &new)), (None, Some(200)));

    // A key that is not the certificate's is an error, and what was there goes on.
    folder.write("tls/key.pem", &first.pair(&["x"]).1);
    let bad = folder.run(&["reload"]);
    assert!(
        bad.err.contains("not the key of the certificate"),
        "{bad:?}"
    );
    assert_eq!(ask(&second, &new), Some(200));
}

#[test]
fn who_may_not_ask_any_more_is_told_no_more() {
    let world = World::of(107, 1);
    let tools = Folder::new();
    let (line, table) = token(&tools, "mira", "reader");
    let (_, other) = token(&tools, "ola", "reader");
    let admin = "[admin]\nlisten = [\"127.0.0.1:0\"]\nplain = true\n";
    let folder = folder(&world, &format!("{admin}{table}"));
    let server = Server::start_in(&folder);
    let mut page = connect(address(&server));
    let asked = request("GET", "/v1/events", &[&line], "");
    page.write_all(asked.as_bytes()).unwrap();
    let (mut octets, mut said) = ([0; 4096], String::new());
    while !said.contains("data: ") {
        let length = page.read(&mut octets).unwrap();
        assert!(length > 0, "{said}");
        said += &String::from_utf8_lossy(&octets[..length]);
    }
    let config = fs::read_to_string(folder.path("nearmost.toml")).unwrap();
    folder.write("nearmost.toml", &config.replace(&table, &other));
    assert_eq!(folder.run(&["reload"]).code, 0);
    eventually("the stream ends", || {
        (page.read(&mut octets).unwrap() == 0).then_some(())
    });
}

#[test]
fn whoever_can_open_the_control_socket_is_an_operator() {
    let world = World::of(105, 2);
    let gid = fs::metadata(std::env::temp_dir()).unwrap().gid();
    let group = fs::metadata("/proc/self").unwrap().gid();
    assert!(gid == 0 || group > 0, "a temporary folder of the system");
    let admin = format!("[admin]\nmode = \"0600\"\ngroup = \"{group}\"\n");
    let server = Server::start_in(&folder(&world, &admin));
    let socket = fs::metadata(server.folder.path("control.sock")).unwrap();
    assert_eq!(
        (socket.permissions().mode() & 0o777, socket.gid()),
        (0o600, group)
    );
    let nameless = DRAIN.replace("\"who\":\"root\",", "");
    let answer = by_socket(&server, "POST", "/v1/order", &[JSON], &nameless);
    assert_eq!(answer.status, 200, "{answer:?}");
    let uid = format!("uid {}", fs::metadata("/proc/self").unwrap().uid());
    assert_eq!(
        orders(&server)[0]["who"],
        json!(uid),
        "nobody has said who it is"
    );
    let bad = DRAIN.replace("root", &"x".repeat(65));
    let answer = by_socket(&server, "POST", "/v1/order", &[JSON], &bad);
    assert_eq!(answer.status, 422, "{answer:?}");
    // A page of another site that is asked under its own name, over a forwarded socket.
    let rebound = by_socket(
        &server,
        "GET",
        "/v1/status",
        &["host: evil.example:8053"],
        "",
    );
    assert_eq!(rebound.status, 403, "{rebound:?}");
    let undrained = server.run(&["undrain", "fra"]);
    assert_eq!(undrained.code, 0, "{undrained:?}");
    server
        .log
        .wait(&[&format!("({uid}): order"), "\"state\":null", ": done"]);
}

#[test]
fn the_description_is_that_of_the_pages() {
    let world = World::of(106, 2);
    let server = Server::start_in(&folder(&world, ""));
    let described = by_socket(&server, "GET", "/v1/openapi.json", &[], "").json();
    let mut pages = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, page) in methods.as_object().unwrap() {
            let role = page["x-role"].as_str().unwrap().to_owned();
            pages.push((method.to_ascii_uppercase(), path.clone(), role));
        }
    }
    let mut routes: Vec<_> = nearmost::admin::routes()
        .map(|(method, path, role)| {
            let role = role.map_or("anyone", |role| role.word());
            (method.to_owned(), path.to_owned(), role.to_owned())
        })
        .collect();
    pages.sort();
    routes.sort();
    assert_eq!(pages, routes);

    for (method, path, query, body) in [
        ("GET", "/healthz", "", ""),
        ("GET", "/readyz", "", ""),
        ("POST", "/v1/order", "", DRAIN),
        ("POST", "/v1/reload", "", r#"{"dry_run":true,"who":"ola"}"#),
        ("POST", "/v1/reload", "", r#"{"who":"ola"}"#),
        ("POST", "/v1/whatif", "", r#"{"down":["nyc"]}"#),
        ("GET", "/v1/status", "", ""),
        ("GET", "/v1/health", "", ""),
        ("GET", "/v1/history", "?count=9&nodes=", ""),
        ("GET", "/v1/geo", "?ip=20.0.1.1", ""),
        (
            "GET",
            "/v1/explain",
            "?name=get.example.org&from=20.0.1.1",
            "",
        ),
        ("GET", "/v1/regions", "?pool=site&family=4", ""),
    ] {
        let answer = by_socket(&server, method, &format!("{path}{query}"), &[JSON], body);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let page = &described["paths"][path][method.to_ascii_lowercase()];
        let schema = &page["responses"]["200"]["content"]["application/json"]["schema"];
        let wrong = differs(&answer.json(), schema, &described);
        assert_eq!(wrong, None, "{path}");
        if !query.is_empty() {
            let bare = by_socket(&server, method, path, &[], "");
            assert_eq!(bare.status, 400, "{path}: {bare:?}");
            let schema = &page["responses"]["400"]["content"]["application/json"]["schema"];
            assert_eq!(differs(&bare.json(), schema, &described), None, "{path}");
        }
    }
    // What may be left out of a request is left out, and what may not is missed.
    let wanted = &described["components"]["schemas"]["Wanted"];
    assert_eq!(
        differs(&serde_json::from_str(DRAIN).unwrap(), wanted, &described),
        None
    );
    for key in wanted["required"].as_array().unwrap() {
        let mut without: Value = serde_json::from_str(DRAIN).unwrap();
        without
            .as_object_mut()
            .unwrap()
            .remove(key.as_str().unwrap());
        let answer = by_socket(&server, "POST", "/v1/order", &[JSON], &without.to_string());
        assert_eq!(answer.status, 422, "{key}: {answer:?}");
    }
}

/// Where a value is not as a schema says: a kind, a key that is not described, or one that is missing.
fn differs(value: &Value, schema: &Value, whole: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return differs(value, whole.pointer(&name[1..]).unwrap(), whole);
    }
    if let Some(any) = schema["oneOf"].as_array() {
        let mut all = any.iter().map(|s| differs(value, s, whole));
        return all
            .all(|d| d.is_some())
            .then(|| format!("{value} is none of {schema}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allows = |word: &Value| word == kind || (word == "number" && kind == "integer");
    let kinds = &schema["type"];
    if !(allows(kinds) || kinds.as_array().is_some_and(|k| k.iter().any(allows))) {
        return Some(format!("{value} is no {kinds}"));
    }
    match value {
        Value::Array(items) => {
            let of = |at: usize| schema["prefixItems"].get(at).unwrap_or(&schema["items"]);
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| differs(item, of(at), whole))
        }
        Value::Object(entries) => {
            let required = schema["required"].as_array();
            let mut required = required.into_iter().flatten();
            if let Some(key) = required.find(|key| value.get(key.as_str().unwrap()).is_none()) {
                return Some(format!("no {key} in {value}"));
            }
            entries.iter().find_map(|(key, value)| {
                let known = schema["properties"].get(key);
                match known.or(schema["additionalProperties"]
                    .as_object()
                    .map(|_| &schema["additionalProperties"]))
                {
                    Some(schema) => differs(value, schema, whole).map(|d| format!("{key}: {d}")),
                    None if schema["additionalProperties"] == false => {
                        Some(format!("{key} is not described"))
                    }
                    None => None,
                }
            })
        }
        _ => None,
    }
}
