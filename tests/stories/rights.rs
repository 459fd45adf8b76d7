//! A server that was started as root is root no longer once its sockets are bound.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::program::{Folder, Server, other, ours, skip};
use crate::upgrade::Successors;
use crate::world::{FRA, World, server_on};

/// A port that only root may bind.
const LOW: &str = "127.157.0.53:53";
/// On every system, and the owner of nothing.
const NOBODY: u32 = 65534;

/// Whether this process may become another user.
fn root() -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        skip("only root becomes another user");
    }
    root
}

/// What the system says of all threads of a process, under a key.
fn threads(process: u32, key: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let line = |status: String| {
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(&format!("{key}:")));
        let words: Vec<&str> = line.unwrap().split_whitespace().collect();
        words.join(" ")
    };
    let mut all: Vec<String> = status.map(line).collect();
    assert!(all.len() > 4, "it answers with several threads");
    all.sort();
    all.dedup();
    all
}

/// All threads are nobody's, in every sense, and can be nothing else.
fn is_nobody(process: u32) {
    let four = [NOBODY; 4].map(|n| n.to_string()).join(" ");
    assert_eq!(threads(process, "Uid"), [&*four]);
    assert_eq!(threads(process, "Gid"), [&*four]);
    assert_eq!(threads(process, "Groups"), [NOBODY.to_string()]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(threads(process, set), ["0000000000000000"], "{set}");
    }
    assert_eq!(threads(process, "NoNewPrivs"), ["1"]);
}

/// A folder that nobody can read, the program and the database included, wherever the repository is.
fn folder(config: &str) -> Folder {
    let folder = Folder::new();
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let database = ours("tests/data/mmdb/GeoIP2-City-Test.mmdb");
    fs::copy(&database, folder.path("city.mmdb")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_nearmost"), folder.path("nearmost")).unwrap();
    let config = config.replace(&database.display().to_string(), "city.mmdb");
    folder.write("nearmost.toml", &config);
    folder
}

/// A command that serves in a folder.
fn serves(folder: &Folder, mut command: Command) -> Command {
    command
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn root_makes_keys_for_a_server_that_means_no_good() {
    if !root() {
        return;
    }
    let folder = folder(
        "[zone.\"get.example.org\"]\nns = [\"ns.example.net\"]\npools = { \"@\" = \"p\" }\n\
         [pool.p]\nnodes = [\"a\"]\n[node.a]\nip = [\"192.0.2.1\"]\n[dnssec]\nkeys = \"keys\"\n",
    );
    let (keys, secret) = (folder.path("keys"), folder.path("secret"));
    fs::create_dir(&keys).unwrap();
    folder.write("secret", "of root");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let list = "get.example.org.json";
    symlink(&secret, keys.join("get.example.org.json.new")).unwrap();
    chown(&keys, Some(NOBODY), Some(NOBODY)).unwrap();
    let made = folder.run(&["keys", "new", "get.example.org"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "of root");
    assert_eq!(fs::metadata(&secret).unwrap().uid(), 0);
    let made = fs::read_dir(&keys).unwrap().map(|e| e.unwrap().path());
    let made: Vec<_> = made.filter(|path| !path.is_symlink()).collect();
    assert_eq!(made.len(), 2, "{made:?}");
    for file in made {
        assert_eq!(fs::metadata(&file).unwrap().uid(), NOBODY, "{file:?}");
    }
    // The list itself may be a link when it is changed.
    fs::rename(keys.join(list), folder.path("list")).unwrap();
    symlink(folder.path("list"), keys.join(list)).unwrap();
    chown(folder.path("list"), Some(0), Some(0)).unwrap();
    let rolled = folder.run(&["keys", "roll", "get.example.org"]);
    assert_eq!(rolled.code, 0, "{rolled:?}");
    assert_eq!(fs::metadata(folder.path("list")).unwrap().uid(), 0);
    assert_eq!(fs::symlink_metadata(keys.join(list)).unwrap().uid(), NOBODY);
}

#[test]
fn root_makes_keys_before_the_first_start() {
    if !root() {
        return;
    }
    let config = server_on("127.0.0.1:0").replacen(
        "[server]",
        "[server]\nuser = \"nobody\"\nstate = \"lib/state\"",
        1,
    );
    let folder = folder(&(config + "[zone.x]\nns = [\"ns.example\"]\nsigned = true\n"));
    let made = folder.run(&["keys", "new", "x"]);
    assert_eq!(made.code, 0, "{made:?}");
    let owner = |path: &str| fs::metadata(folder.path(path)).unwrap().uid();
    assert_eq!(owner("lib"), 0);
    for path in ["lib/state", "lib/state/keys", "lib/state/keys/x.json"] {
        assert_eq!(owner(path), NOBODY, "{path}");
    }
    // Somebody else's is told of.
    let (state, words) = (
        folder.path("lib/state"),
        "who may change what the server believes",
    );
    let checked = folder.run(&["check"]);
    assert!(!checked.err.contains(words), "{checked:?}");
    chown(&state, Some(1000), None).unwrap();
    let checked = folder.run(&["check"]);
    assert!(checked.err.contains(words), "{checked:?}");
    chown(&state, Some(NOBODY), None).unwrap();
    let _ = Server::start_in(&Arc::new(folder));
}

#[test]
fn root_binds_the_sockets_and_nobody_answers() {
    if !root() {
        return;
    }
    if TcpListener::bind(LOW).is_err() {
        return skip("port 53 of 127.157.0.53 cannot be had");
    }
    let world = World::of(157, 1);
    // Group 65534 has another name on each system.
    let keys = "[server]\nuser = \"nobody\"\ngroup = \"65534\"\nstate = \"lib/state\"\ncontrol = \"run/control.sock\"";
    let config = world.config("").replace("127.0.0.1:0", LOW);
    let folder = Arc::new(folder(&config.replacen("[server]", keys, 1)));
    let mut command = Command::new(folder.path("nearmost"));
    command.arg("serve");
    let server = Server::start_as(&folder, &mut serves(&folder, command));
    let successors = Successors(&server);
    is_nobody(server.pid());
    assert_eq!(server.given(FRA), world.ip(0));
    let owned = |path: &str| {
        let meta = fs::metadata(folder.path(path)).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o777)
    };
    assert_eq!(owned("lib/state"), (NOBODY, NOBODY, 0o755));
    assert_eq!(owned("run/control.sock"), (NOBODY, NOBODY, 0o660));
    let status = server.run(&["status"]);
    assert!(
        status
            .out
            .contains("\nruns as        nobody, seccomp: on\n"),
        "{status:?}"
    );
    assert_eq!(server.run(&["drain", "fra", "--why", "disk"]).code, 0);
    assert_eq!(owned("lib/state/orders.json").0, NOBODY);
    let reload = server.run(&["reload"]);
    assert_eq!(reload.code, 0, "{reload:?}");

    // Port 53 is handed on to one that could not bind it.
    let upgraded = server.run(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    is_nobody(successors.pids()[0]);
    assert_eq!(server.given(FRA), world.ip(0));
    let settled = config.replacen("[server]", &keys.replace("nobody", "root"), 1);
    folder.write("nearmost.toml", &settled);
    let refused = server.run(&["reload"]);
    assert!(refused.err.contains("need a restart"), "{refused:?}");
}

#[test]
fn who_cannot_be_is_told_before_anything_is_opened() {
    if !root() {
        return;
    }
    let zone = "[zone.\"x\"]\nns = [\"ns.example\"]\n";
    let config = |keys: &str| {
        server_on("127.0.0.1:0").replacen("[server]", &format!("[server]\n{keys}"), 1) + zone
    };
    let said = |folder: &Folder| {
        let ran = folder.run(&["serve"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.err
    };
    let unknown = said(&Folder::with(&config("user = \"no-such-user\"")));
    assert!(
        unknown.contains("[server] user: there is no user no-such-user on this machine"),
        "{unknown}"
    );
    let unknown = said(&Folder::with(&config(
        "user = \"nobody\"\ngroup = \"no-such-group\"",
    )));
    assert!(
        unknown.contains("[server] group: there is no group no-such-group"),
        "{unknown}"
    );

    // Whoever may write beside the configuration may change it.
    let beside = folder(&config("user = \"nobody\""));
    let path = beside.path("nearmost.toml").display().to_string();
    let ran = beside.run(&["-c", &path, "serve"]);
    assert!(ran.err.contains("name a folder with `state`"), "{ran:?}");
    assert!(!ran.err.contains("chown"), "{ran:?}");

    // A folder that is there is not given away: it may hold what is others'.
    let folder = folder(&config("user = \"nobody\"\nstate = \"state\""));
    fs::create_dir(folder.path("state")).unwrap();
    let told = said(&folder);
    assert!(told.contains("user nobody may not write in "), "{told}");
    assert!(told.contains("= chown -R nobody "), "{told}");
    chown(folder.path("state"), Some(NOBODY), None).unwrap();
    // Orders are read from it, and keys.
    let open = |mode| fs::set_permissions(folder.path("state"), fs::Permissions::from_mode(mode));
    open(0o777).unwrap();
    let told = said(&folder);
    assert!(
        told.contains("state: anybody may write in it (mode 777)"),
        "{told}"
    );
    open(0o755).unwrap();
    let _ = Server::start_in(&Arc::new(folder));
}

#[test]
fn whoever_is_not_root_lets_go_of_what_it_has_of_root() {
    if !root() {
        return;
    }
    if TcpListener::bind("127.158.0.53:53").is_err() {
        return skip("port 53 of 127.158.0.53 cannot be had");
    }
    let world = World::of(158, 1);
    let config = world.config("").replace("127.0.0.1:0", "127.158.0.53");
    let folder = Arc::new(folder(&config.replacen(
        "[server]",
        "[server]\nstate = \"state\"",
        1,
    )));
    fs::create_dir(folder.path("state")).unwrap();
    chown(folder.path("state"), Some(NOBODY), None).unwrap();
    // As the unit starts it.
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args([
            "--inh-caps=+net_bind_service",
            "--ambient-caps=+net_bind_service",
        ])
        .args([&*folder.path("nearmost").to_string_lossy(), "serve"]);
    let server = Server::start_as(&folder, &mut serves(&folder, command));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(threads(server.pid(), set), ["0000000000000000"], "{set}");
    }
    let successors = Successors(&server);
    assert_eq!(server.run(&["upgrade"]).code, 0);
    assert_eq!(
        threads(successors.pids()[0], "CapPrm"),
        ["0000000000000000"]
    );
    assert_eq!(server.given(FRA), world.ip(0));
}

/// Forks into a namespace of its own, then asks for what filters cannot look into: both are refused, each in its way; also by their numbers of x32.
const CALLS: &str = "
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) == 0:
        os._exit(1)
    return ctypes.get_errno()
clone = {'x86_64': 56}.get(platform.machine(), 220)
for flag in [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]:
    assert call(clone, flag | 17, 0, 0, 0, 0) == 1, hex(flag)
assert call(435, 0, 0) == 38
if platform.machine() == 'x86_64':
    for number in [272, 521, 528, 539, 540]:
        assert call(0x40000000 | number, 0, 0, 0, 0) == 1, number
    assert call(0x40000000 | clone, 0x10000000 | 17, 0, 0, 0, 0) == 1
";

/// As some containers do: refuses `unshare`, then becomes a program.
const REFUSES_UNSHARE: &str = "
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
unshare = {'x86_64': 272}.get(platform.machine(), 97)
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, unshare), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)]
steps = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack('HP', 4, ctypes.addressof(steps)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn filters_of_others_are_not_taken_for_ours() {
    let Some(python) = other("python3") else {
        return;
    };
    let world = World::of(161, 1);
    let folder = Folder::with(&format!(
        "{}\n[probe.calls]\nkind = \"exec\"\ncommand = [\"{}\", \"calls.py\"]\n",
        world
            .config("probes = [\"web\", \"calls\"]")
            .replacen("probes = [\"web\"]\n", "", 1),
        python.display()
    ));
    folder.write("calls.py", CALLS);
    let folder = Arc::new(folder);
    let program = folder.command(&[]).get_program().to_owned();
    let mut command = Command::new("python3");
    command
        .args(["-c", REFUSES_UNSHARE])
        .arg(program)
        .arg("serve");
    let server = Server::start_as(&folder, &mut serves(&folder, command));
    let health = server.json(&["health", "fra"]).to_string();
    assert!(!health.contains("\"down\""), "{health}");
    assert_eq!(threads(server.pid(), "Seccomp_filters"), ["3"]);
    let status = server.run(&["status"]);
    assert!(status.out.contains(", seccomp: on"), "{status:?}");
}

#[test]
fn system_calls_that_it_has_no_use_for_are_refused() {
    // In service while what it starts may not have a namespace of its own.
    let allowed = Command::new("unshare").args(["-U", "true"]).status();
    if !allowed.is_ok_and(|ran| ran.success()) {
        return skip("nobody may have namespaces here");
    }
    let world = World::of(160, 1);
    let config = format!(
        "{}\n[probe.calls]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"! unshare -U true\"]\n",
        world
            .config("probes = [\"web\", \"calls\"]")
            .replacen("probes = [\"web\"]\n", "", 1)
    );
    let server = Server::start(&config);
    let health = server.json(&["health", "fra"]).to_string();
    assert!(!health.contains("\"down\""), "{health}");
    assert_eq!(threads(server.pid(), "Seccomp"), ["2"]);
    // A process that takes over has it from the one before, once.
    let laid = threads(server.pid(), "Seccomp_filters");
    let successors = Successors(&server);
    assert_eq!(server.run(&["upgrade"]).code, 0);
    assert_eq!(threads(successors.pids()[0], "Seccomp_filters"), laid);
    assert_eq!(server.given(FRA), world.ip(0));
}
