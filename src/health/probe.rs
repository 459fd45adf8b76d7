//! What is checked, how often, and the thresholds.

use std::path::PathBuf;
use std::time::Duration;

/// A probe as the operator defines it; it runs for each address of each pool that names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its name in files and messages.
    pub name: String,
    /// What is done.
    pub kind: Kind,
    /// The port it is done to; 0 for a kind that was given none and needs none.
    pub port: u16,
    /// The name asked for (Host, SNI); none: the first name of the pool, for kinds that ask by name.
    pub host: Option<String>,
    /// Time between two checks of one address.
    pub every: Duration,
    /// A check that has not ended by then has failed.
    pub timeout: Duration,
    /// Failures, successes between them not counted, after which the address is out of service.
    pub down: u32,
    /// Successes in a row that clear the count of failures.
    pub ok: u32,
    /// Successes in a row after which the address is back in service.
    pub up: u32,
    /// It runs and is shown, and nothing follows from it.
    pub shadow: bool,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A connection is made and closed.
    Tcp,
    /// A connection is made, and the banner of an rsync daemon must come.
    Rsync,
    /// A question is asked over UDP.
    Dns(DnsCheck),
    /// An ICMP or ICMPv6 echo request (RFC 792, RFC 4443 4.1) must be answered.
    Icmp,
    /// A file that others write says whether the address is well.
    File {
        /// The file.
        path: PathBuf,
        /// A file that was not written for longer is a failure.
        max_age: Duration,
    },
    /// A command is run; its exit status decides.
    Exec {
        /// The program and its arguments, in which `{address}`, `{host}` and `{port}` are replaced.
        command: Vec<String>,
    },
    /// A page is fetched.
    Http(HttpCheck),
}

/// What an HTTP probe fetches, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpCheck {
    /// Over TLS, with chain, name and expiry checked.
    pub tls: bool,
    /// Path and query, with its first slash.
    pub path: String,
    /// What the answer must be.
    pub expect: Expect,
    /// Roots instead of the system's: a file of PEM certificates.
    pub ca: Option<PathBuf>,
    /// The answer must come over HTTP/2 (RFC 9113), which TLS agrees on.
    pub http2: bool,
    /// Redirects to the same scheme, host and port are followed, on the same address.
    pub redirects: bool,
    /// A certificate that ends sooner is worth a warning.
    pub warn_cert: Option<Duration>,
}

/// What an HTTP answer must be.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Ranges of status codes, both ends included; one must hold.
    pub status: Vec<(u16, u16)>,
    /// Names of headers in lower case, and what must match in a value of each.
    pub header: Vec<(String, regex::Regex)>,
    /// Must match in the first 64 KiB of the body.
    pub body: Option<regex::Regex>,
}

/// Response codes by their numbers.
pub const RCODES: [&str; 6] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
];

/// What a DNS probe asks, and what the reply must be.
#[derive(Clone, Debug)]
pub struct DnsCheck {
    /// The name asked for, absolute.
    pub name: String,
    /// The number of the record type asked for.
    pub rtype: u16,
    /// The response code; those of [`RCODES`].
    pub rcode: u8,
    /// Must match a record of the answer, written as `name ttl class type data`.
    pub answer: Option<regex::Regex>,
}

impl PartialEq for Expect {
    fn eq(&self, other: &Self) -> bool {
        let headers = self.header.iter().zip(&other.header);
        self.status == other.status
            && self.header.len() == other.header.len()
            && headers
                .into_iter()
                .all(|(a, b)| a.0 == b.0 && alike(Some(&a.1), Some(&b.1)))
            && alike(self.body.as_ref(), other.body.as_ref())
    }
}

impl PartialEq for DnsCheck {
    fn eq(&self, other: &Self) -> bool {
        let question = |check: &Self| (check.name.clone(), check.rtype, check.rcode);
        question(self) == question(other) && alike(self.answer.as_ref(), other.answer.as_ref())
    }
}

/// Whether two patterns were written alike.
fn alike(one: Option<&regex::Regex>, other: Option<&regex::Regex>) -> bool {
    one.map(regex::Regex::as_str) == other.map(regex::Regex::as_str)
}

impl Kind {
    /// Whether the outcome depends on the name asked for. Where it does not, one check of an address is enough for
    /// all pools.
    #[must_use]
    pub fn asks_by_name(&self) -> bool {
        match self {
            Self::Tcp | Self::Rsync | Self::Dns(_) | Self::Icmp | Self::File { .. } => false,
            Self::Exec { command } => command.iter().any(|word| word.contains("{host}")),
            Self::Http(_) => true,
        }
    }

    /// The word for it in files.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Rsync => "rsync",
            Self::Dns(_) => "dns",
            Self::Icmp => "icmp",
            Self::File { .. } => "file",
            Self::Exec { .. } => "exec",
            Self::Http(HttpCheck { tls: false, .. }) => "http",
            Self::Http(HttpCheck { tls: true, .. }) => "https",
        }
    }
}
