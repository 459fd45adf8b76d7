//! What dnsviz finds of a signed zone. It asks more than the server: so both are in a network of their own, where there is nothing else.

use std::process::Command;

use crate::program::{Folder, Ran, other, skip};
use crate::world::server_on;

const ZONE: &str = "\
$TTL 300
@            SOA   ns hostmaster 1 7200 1800 1209600 300
@            NS    ns
ns           A     127.0.0.1
@ 300/30     POOL  site
deb 300/30   POOL  site
*.any 300/30 POOL  site
text         TXT   \"hello\"
alias        CNAME text
a.b.ent      TXT   \"deep\"
*.wild       TXT   \"wild\"
dn           DNAME wild
sub          NS    ns.elsewhere.example.
";

const NAMES: &str = "get.example.org deb.get.example.org text.get.example.org alias.get.example.org x.any.get.example.org \
                     x.wild.get.example.org nope.get.example.org b.ent.get.example.org x.dn.get.example.org";

/// Asked again until the server answers: dig waits for a second each time.
const SCRIPT: &str = "
ip link set lo up || exit 1
\"$0\" serve & server=$!
turn=0
until dig +time=1 +tries=1 +noall +answer @127.0.0.1 get.example.org DNSKEY > trusted.key && test -s trusted.key; do
  turn=$((turn+1)); test $turn -lt 1000 || break
done
dnsviz probe -4 -A -x 'get.example.org+:ns.get.example.org=127.0.0.1' -f names -o probe.json
ended=$?
kill $server
exit $ended
";

#[test]
fn dnsviz_finds_every_answer_secure() {
    let programs = ["dnsviz", "unshare", "ip", "dig"].map(other);
    if programs.contains(&None) {
        return;
    }
    let alone = Command::new("unshare").args(["-rn", "true"]).status();
    if !alone.is_ok_and(|ran| ran.success()) {
        return skip("nobody may have a network of their own here");
    }
    let server = server_on("127.0.0.1:53");
    let folder = Folder::with(&format!(
        "{server}\n[zone.\"get.example.org\"]\nfile = \"zones/get.example.org.zone\"\nsigned = true\n[pool.site]\n\
         [node.fra]\nat = \"FRA\"\nip = [\"192.0.2.1\", \"2001:db8::1\"]\n[node.tyo]\nat = \"TYO\"\nip = [\"192.0.2.2\"]\n"
    ));
    folder.write("zones/get.example.org.zone", ZONE);
    folder.write("names", &NAMES.replace(' ', "\n"));
    assert_eq!(folder.run(&["keys", "new", "get.example.org"]).code, 0);

    let program = folder.command(&[]).get_program().to_owned();
    let mut script = Command::new("unshare");
    script.args(["-rn", "sh", "-c", SCRIPT]).arg(program);
    let ran = Ran::of(script.current_dir(folder.path("")));
    assert_eq!(ran.code, 0, "{ran:?}");

    // Whoever trusts the key finds all secure; whoever trusts another finds nothing so.
    let found = |key: &str| {
        let mut print = Command::new("dnsviz");
        print.arg("print").arg("-t").arg(folder.path(key));
        let ran = Ran::of(print.arg("-r").arg(folder.path("probe.json")));
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out
    };
    let marks = |text: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('['));
        let marks = lines.map(|(_, rest)| rest.starts_with(".]"));
        let (secure, others): (Vec<bool>, Vec<bool>) = marks.partition(|secure| *secure);
        (secure.len(), others.len())
    };
    let text = found("trusted.key");
    let (secure, others) = marks(&text);
    assert!(secure > 80 && others == 0, "{text}");
    let key = std::fs::read_to_string(folder.path("trusted.key")).unwrap();
    let (head, last) = key.trim_end().rsplit_once(' ').unwrap();
    let other = if last.starts_with('A') { "B" } else { "A" };
    folder.write("other.key", &format!("{head} {other}{}\n", &last[1..]));
    let text = found("other.key");
    assert_eq!(marks(&text).0, 0, "{text}");
}
