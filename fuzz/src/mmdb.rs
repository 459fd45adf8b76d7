//! A GeoIP database: it is opened or refused in words, and what it says is what the format's own crate finds in it.

use std::cell::RefCell;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use maxminddb::{LookupResult, Reader, WithinOptions, path};
use nearmost::geo::{Country, Database, World};
use nearmost::prefix::{CARRIERS, Client};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Addresses that are looked up beside those that the input chooses.
const ADDRESSES: [&str; 9] = [
    "0.0.0.0",
    "2.125.160.0",
    "81.2.69.0",
    "89.160.20.0",
    "175.16.199.0",
    "255.255.255.0",
    "2001:218::",
    "2a02:d180::",
    "ffff:ffff:ffff::",
];

/// A record, as far as it says which country.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Code<'a>>,
    #[serde(borrow)]
    registered_country: Option<Code<'a>>,
    country_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Code<'a> {
    iso_code: Option<&'a str>,
}

/// A file that is removed at the end.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

thread_local! {
    static FILE: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Runs one input.
pub fn run(octets: &[u8]) {
    let opened = FILE.with_borrow_mut(|file| {
        let thread = std::thread::current().id();
        let name = format!("nearmost-fuzz-{}-{thread:?}.mmdb", std::process::id());
        let file = file.get_or_insert_with(|| File(std::env::temp_dir().join(name)));
        fs::write(&file.0, octets).unwrap();
        Database::open(&file.0)
    });
    let database = match opened {
        Ok(database) => database,
        Err(error) => {
            assert!(!error.message.is_empty() && !error.database.is_empty());
            return;
        }
    };
    let about = database.about().clone();
    assert!(!about.kind.is_empty());
    let _ = about.to_string();
    let world = World::build(&[database], &[]);
    let reader = Reader::from_source(octets).expect("it was opened");
    // A file has the form of its first record.
    let first = reader
        .networks(WithinOptions::default())
        .map(|mut n| n.next());
    let is_flat = |first: LookupResult<'_, _>| {
        let code = first.decode_path::<IgnoredAny>(&path!["country_code"]);
        matches!(code, Ok(Some(_)))
    };
    let flat = matches!(first, Ok(Some(Ok(first))) if is_flat(first));
    let mut addresses: Vec<IpAddr> = ADDRESSES.iter().map(|a| a.parse().unwrap()).collect();
    // Numbers of a file are addresses as good as any, at the grain of maps.
    for four in octets.chunks_exact(4).step_by(1 + octets.len() / 64) {
        let bits = u32::from_be_bytes([four[0], four[1], four[2], four[3]]);
        addresses.push(Ipv4Addr::from_bits(bits & !0xff).into());
        addresses.push(Ipv6Addr::from_bits(u128::from(bits >> 3 | 0x2000_0000) << 96).into());
    }
    for address in addresses {
        let client = Client::of(address);
        let (place, scope) = world.locate(client);
        assert!(scope <= if address.is_ipv4() { 32 } else { 128 });
        let _ = world.asn(client);
        let carried = CARRIERS.iter().any(|block| block.contains(address));
        if !about.knows_places || carried {
            continue;
        }
        let Ok(found) = reader.lookup(address) else {
            continue;
        };
        if let Ok(Some(record)) = found.decode::<Record<'_>>() {
            let codes = [record.country, record.registered_country];
            let nested = codes.into_iter().flatten().find_map(|c| c.iso_code);
            let code = if flat { record.country_code } else { nested };
            let expected = code.and_then(Country::new);
            // Parts of a tree that lead into that of IPv4 are not walked.
            assert!(
                place.country == expected || address.is_ipv6() && place.country.is_none(),
                "{address}: {place:?}, not {expected:?}"
            );
        }
    }
}
