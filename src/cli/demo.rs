//! `demo`: the real server with a real configuration, and small mirrors on this machine for it to watch.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Args;

use super::log::log;
use super::serve::{until_told, up};
use super::{Stop, load_parts, print};
use crate::config::LogLevels;

/// The configuration, also to be found in `examples/demo`.
const CONFIG: &str = include_str!("../../examples/demo/nearmost.toml");

/// Clients to ask as: networks that the shipped database places in these countries.
const CLIENTS: [(&str, &str); 3] = [
    ("Germany", "84.128.0.0/24"),
    ("Japan", "133.1.0.0/24"),
    ("Brazil", "200.144.0.0/24"),
];

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Answer on this address [default: 127.0.0.1:5300]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Be one of the mirrors, until standard input ends
    #[arg(long, hide = true, value_name = "ADDRESS:PORT")]
    mirror: Option<SocketAddr>,
}

impl Demo {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        if config.is_some() {
            return Err(Stop {
                message: "demo brings its own configuration: `serve` takes -c (see --help)".into(),
                code: 2,
            });
        }
        if let Some(address) = self.mirror {
            return mirror(address);
        }
        log(None, &LogLevels::default());
        let folder = Folder::make()?;
        let path = folder.0.join("nearmost.toml");
        let config = match self.listen {
            Some(listen) => CONFIG.replace("127.0.0.1:5300", &listen.to_string()),
            None => CONFIG.into(),
        };
        std::fs::write(&path, config).map_err(|e| Stop::no(format!("{}: {e}", path.display())))?;
        let parts = load_parts(&path)?;
        let port = parts.config.probes.first().map_or(80, |p| p.port);
        let mut mirrors = Vec::new();
        for node in &parts.config.nodes {
            for ip in &node.all_addresses().collect::<Vec<_>>() {
                mirrors.push(Mirror::start(&node.name, SocketAddr::new(*ip, port))?);
            }
        }
        let (_log, mut running) = up(&path, parts, None)?;
        print(&introduction(&path, &mirrors, running.handle().listen()));
        until_told(&mut running, None);
        Ok(ExitCode::SUCCESS)
    }
}

fn introduction(path: &Path, mirrors: &[Mirror], listen: &[SocketAddr]) -> String {
    let program = program().map_or_else(|_| "nearmost".into(), |p| p.display().to_string());
    let (address, config) = (listen.first().copied(), path.display());
    let (server, port) = address.map_or((String::new(), 53), |a| (a.ip().to_string(), a.port()));
    let mut out = format!("\nAnswering for get.example.org on {server} port {port}. Mirrors:\n");
    for mirror in mirrors {
        out += &format!(
            "  {:4} http://{}  process {}\n",
            mirror.name,
            mirror.address,
            mirror.child.id()
        );
    }
    out += "\nAsk as a client in another country (its resolver would send the ECS option):\n";
    for (country, net) in CLIENTS {
        out += &format!(
            "  dig @{server} -p {port} get.example.org A +short +subnet={net}    # {country}\n"
        );
    }
    let first = mirrors.first().map_or(0, |m| m.child.id());
    out += &format!(
        "\nKill the first mirror, watch it go out of service within some seconds, and ask again:\n  kill {first}\n  {program} -c {config} health\n"
    );
    let from = CLIENTS[0].1.trim_end_matches("0/24").to_owned() + "7";
    out += &format!(
        "\nWhy a client gets what it gets:\n  {program} -c {config} explain get.example.org --from {from}\n"
    );
    out += "\nThe configuration is the one in examples/demo. End with Ctrl-C.\n\n";
    out
}

fn program() -> Result<PathBuf, Stop> {
    std::env::current_exe().map_err(|e| Stop::no(format!("this program is not to be found: {e}")))
}

/// A folder for configuration and control socket, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Stop> {
        let path = std::env::temp_dir().join(format!("nearmost-demo-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|e| Stop::no(format!("{}: {e}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A mirror in a process of its own, so that it can be killed like a real one.
struct Mirror {
    name: String,
    address: SocketAddr,
    child: Child,
}

impl Mirror {
    fn start(name: &str, address: SocketAddr) -> Result<Self, Stop> {
        let mut command = Command::new(program()?);
        command
            .args(["demo", "--mirror", &address.to_string()])
            .stdin(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|e| Stop::no(format!("the mirror {name} does not start: {e}")))?;
        Ok(Self {
            name: name.into(),
            address,
            child,
        })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves one page until standard input ends, which it does when the demo does.
fn mirror(address: SocketAddr) -> Result<ExitCode, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Stop::no(e.to_string()))?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(address));
    let listener = listener.map_err(|e| Stop::no(format!("cannot listen on {address}: {e}")))?;
    let page = move || async move { format!("the mirror at {address}\n") };
    let router = axum::Router::new().fallback(page);
    runtime.spawn(async move { axum::serve(listener, router).await });
    let mut nothing = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut nothing);
    Ok(ExitCode::SUCCESS)
}
