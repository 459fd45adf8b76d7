//! Cookies (RFC 7873, RFC 9018): who shows one that we gave to its address has that address.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use siphasher::sip::SipHasher24;

/// Octets of a client's half.
pub const CLIENT: usize = 8;
/// Octets of both halves.
pub const BOTH: usize = CLIENT + 16;
/// RFC 9018 4.3: cookies are taken for an hour, and from clocks that are five minutes ahead; they are replaced after half an hour.
const HOUR: u32 = 3600;
const AHEAD: u32 = 300;

/// Gives cookies and knows them again.
pub struct Cookies {
    /// The first is used; the others are known.
    secrets: Vec<Secret>,
    /// Nobody has configured them.
    made: bool,
    /// Unix time in seconds, as of the last tick.
    now: AtomicU32,
}

/// Changed while it is used: whoever sees half of another makes a cookie that is known to nobody, and gives a better one the next time.
struct Secret([AtomicU64; 2]);

impl Secret {
    fn new(octets: [u8; 16]) -> Self {
        let secret = Self([AtomicU64::new(0), AtomicU64::new(0)]);
        secret.set(octets);
        secret
    }

    fn get(&self) -> [u8; 16] {
        let [high, low] = self.0.each_ref().map(|half| half.load(Ordering::Acquire));
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }

    fn set(&self, octets: [u8; 16]) {
        let [a, b, c, d, e, f, g, h, rest @ ..] = octets;
        let halves = [[a, b, c, d, e, f, g, h], rest].map(u64::from_be_bytes);
        for (half, is) in self.0.iter().zip(halves) {
            half.store(is, Ordering::Release);
        }
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookies({} secrets)", self.secrets.len())
    }
}

impl Cookies {
    /// With these secrets, of which there is one at least, at this second of Unix time.
    #[must_use]
    pub fn new(secrets: Vec<[u8; 16]>, now: u32) -> Self {
        Self {
            secrets: secrets.into_iter().map(Secret::new).collect(),
            made: false,
            now: AtomicU32::new(now),
        }
    }

    /// With two secrets that nobody has configured: one that is used, one as if there had been others before.
    #[must_use]
    pub fn made(secrets: [[u8; 16]; 2], now: u32) -> Self {
        Self {
            made: true,
            ..Self::new(secrets.into(), now)
        }
    }

    /// Whether nobody has configured them.
    #[must_use]
    pub fn are_made(&self) -> bool {
        self.made
    }

    /// Uses another secret from now on, if nobody has configured them; the one before is still known.
    pub fn renew(&self, fresh: [u8; 16]) {
        if let [used, known] = &self.secrets[..]
            && self.made
        {
            known.set(used.get());
            used.set(fresh);
        }
    }

    /// It is another second.
    pub fn tick(&self, now: u32) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// What a client is to show next time, and whether what it has shown is ours. `shown` has the client's half at least.
    #[must_use]
    pub fn judge(&self, shown: &[u8], source: IpAddr) -> ([u8; BOTH], bool) {
        let mut cookie = [0; BOTH];
        let now = self.now.load(Ordering::Relaxed);
        let Some(half) = shown.first_chunk::<CLIENT>() else {
            return (cookie, false);
        };
        let whole: Option<&[u8; BOTH]> = shown.try_into().ok();
        let known = whole.and_then(|whole| self.knows(whole, source, now));
        // One of a secret that will go is replaced at once.
        if let (Some(whole), Some(0)) = (whole, known)
            && now.wrapping_sub(time_of(whole)) < HOUR / 2
        {
            return (*whole, true);
        }
        cookie[..CLIENT].copy_from_slice(half);
        // Version 1, and three octets of zero.
        cookie[CLIENT] = 1;
        cookie[12..16].copy_from_slice(&now.to_be_bytes());
        if let Some(secret) = self.secrets.first() {
            let hash = hash(&secret.get(), &cookie, source);
            cookie[16..].copy_from_slice(&hash);
        }
        (cookie, known.is_some())
    }

    /// The number of the secret that a cookie was made with, if it is one of ours that holds.
    fn knows(&self, whole: &[u8; BOTH], source: IpAddr, now: u32) -> Option<usize> {
        let age = now.wrapping_sub(time_of(whole));
        // Times wrap (RFC 1982).
        let fresh = age <= HOUR || age >= AHEAD.wrapping_neg();
        let ours = |secret: &Secret| whole[16..] == hash(&secret.get(), whole, source);
        let own = self.secrets.iter().position(ours);
        own.filter(|_| whole[CLIENT] == 1 && fresh)
    }
}

fn time_of(cookie: &[u8; BOTH]) -> u32 {
    let [.., a, b, c, d, _, _, _, _, _, _, _, _] = *cookie;
    u32::from_be_bytes([a, b, c, d])
}

/// RFC 9018 4.4, over all but the hash itself.
fn hash(secret: &[u8; 16], cookie: &[u8; BOTH], source: IpAddr) -> [u8; 8] {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(&cookie[..16]);
    match source {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let digits = hex
            .as_bytes()
            .chunks(2)
            .map(|two| std::str::from_utf8(two).expect("text"));
        let octets = digits.map(|two| u8::from_str_radix(two, 16).expect("digits"));
        octets.collect::<Vec<u8>>().try_into().expect("so many")
    }

    #[test]
    fn made_secrets_are_renewed_and_the_one_before_is_known() {
        let source = "198.51.100.100".parse().expect("an address");
        let cookies = Cookies::made([[1; 16], [2; 16]], 1_559_731_985);
        let (first, _) = cookies.judge(&[7; CLIENT], source);
        assert_eq!(cookies.judge(&first, source), (first, true));
        cookies.renew([3; 16]);
        let (second, known) = cookies.judge(&first, source);
        assert!(known && second != first, "it is replaced at once");
        cookies.renew([4; 16]);
        assert!(!cookies.judge(&first, source).1);
        assert!(cookies.judge(&second, source).1);
        let configured = Cookies::new(vec![[1; 16], [2; 16]], 1_559_731_985);
        configured.renew([3; 16]);
        assert_eq!(configured.judge(&first, source), (first, true));
    }

    /// The examples of RFC 9018 A.
    #[test]
    fn others_would_give_the_same_cookies() {
        let secret = octets("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let source = "198.51.100.100".parse().expect("an address");
        let cookies = Cookies::new(vec![secret], 1_559_731_985);
        let (first, known) = cookies.judge(&octets::<8>("2464c4abcf10c957"), source);
        assert_eq!(
            first,
            octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480")
        );
        assert!(!known);

        cookies.tick(1_559_734_385);
        let renewed = cookies.judge(&first, source);
        assert_eq!(
            renewed,
            (
                octets("2464c4abcf10c957010000005cf7a871d4a564a1442aca77"),
                true
            )
        );

        // What others put into the reserved octets is hashed too.
        let source = "203.0.113.203".parse().expect("an address");
        let cookies = Cookies::new(vec![secret], 1_559_728_985);
        let shown: [u8; BOTH] = octets("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        assert!(cookies.judge(&shown, source).1);

        let source = "2001:db8:220:1:59de:d0f4:8769:82b8"
            .parse()
            .expect("an address");
        let (new, old) = (
            octets("445536bcd2513298075a5d379663c962"),
            octets("dd3bdf9344b678b185a6f5cb60fca715"),
        );
        let cookies = Cookies::new(vec![new, old], 1_559_741_961);
        let shown: [u8; BOTH] = octets("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let renewed = cookies.judge(&shown, source);
        assert_eq!(
            renewed,
            (
                octets("22681ab97d52c298010000005cf7c609a6bb79d16625507a"),
                true
            )
        );
    }

    #[test]
    fn what_is_old_or_of_others_is_not_known() {
        let cookies = Cookies::new(vec![[7; 16]], 100_000);
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().expect("an address"));
        let (given, _) = cookies.judge(&[1; 8], a);
        assert_eq!(
            cookies.judge(&given, a),
            (given, true),
            "the same for half an hour"
        );
        assert!(!cookies.judge(&given, b).1, "of another address");
        for at in 0..BOTH {
            let mut other = given;
            other[at] ^= 1;
            assert!(!cookies.judge(&other, a).1, "octet {at}");
        }
        cookies.tick(100_000 + HOUR);
        let (renewed, known) = cookies.judge(&given, a);
        assert!(known && renewed != given);
        cookies.tick(100_000 + HOUR + 1);
        assert!(!cookies.judge(&given, a).1, "too old");
        cookies.tick(100_000 - AHEAD);
        assert!(cookies.judge(&given, a).1, "a clock that is behind");
        cookies.tick(100_000 - AHEAD - 1);
        assert!(!cookies.judge(&given, a).1);
    }
}
