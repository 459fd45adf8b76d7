//! Whether an answer is what is expected.

use regex::Regex;
use reqwest::{Response, Version, header};

use super::Page;

/// As much of a body is looked at.
const BODY: usize = 64 * 1024;

impl Page {
    /// The verdict on an answer; an error if the rest of it does not come.
    pub(super) async fn judge(
        &self,
        response: Response,
    ) -> Result<Result<(), String>, reqwest::Error> {
        let expect = &self.http.expect;
        let head = judge_version(&response, self.http.http2)
            .and_then(|()| judge_status(&response, &expect.status))
            .and_then(|()| judge_headers(&response, &expect.header));
        let Some(pattern) = expect.body.as_ref().filter(|_| head.is_ok()) else {
            return Ok(head);
        };
        let (body, whole) = beginning(response).await?;
        if pattern.is_match(&String::from_utf8_lossy(&body)) {
            return Ok(Ok(()));
        }
        let seen = if whole {
            "body does"
        } else {
            "first 64 KiB of the body do"
        };
        Ok(Err(format!("{seen} not match /{pattern}/")))
    }
}

fn judge_version(response: &Response, http2: bool) -> Result<(), String> {
    match response.version() {
        version if http2 && version != Version::HTTP_2 => {
            Err(format!("answered by {version:?}, expected HTTP/2"))
        }
        _ => Ok(()),
    }
}

fn judge_status(response: &Response, good: &[(u16, u16)]) -> Result<(), String> {
    let status = response.status().as_u16();
    if good
        .iter()
        .any(|&(low, high)| (low..=high).contains(&status))
    {
        return Ok(());
    }
    // It stands last, as a node may send one of any length.
    let elsewhere = match response.headers().get(header::LOCATION) {
        Some(to) if response.status().is_redirection() => {
            format!(" (redirects to {})", String::from_utf8_lossy(to.as_bytes()))
        }
        _ => String::new(),
    };
    Err(format!(
        "status {status}, expected {}{elsewhere}",
        expected(good)
    ))
}

fn judge_headers(response: &Response, expected: &[(String, Regex)]) -> Result<(), String> {
    for (name, pattern) in expected {
        let values = response.headers().get_all(name.as_str());
        let texts = || values.iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
        if texts().any(|text| pattern.is_match(&text)) {
            continue;
        }
        return Err(match texts().next() {
            None => format!("no header {name}, expected /{pattern}/"),
            Some(first) => format!("header {name} does not match /{pattern}/: {first}"),
        });
    }
    Ok(())
}

/// The body's first 64 KiB, and whether that is all of it.
async fn beginning(mut response: Response) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

/// `2xx or 301 or 400-404`.
fn expected(ranges: &[(u16, u16)]) -> String {
    let shown: Vec<_> = ranges
        .iter()
        .map(|&(low, high)| match (low, high) {
            _ if low == high => low.to_string(),
            _ if low % 100 == 0 && high == low + 99 => format!("{}xx", low / 100),
            _ => format!("{low}-{high}"),
        })
        .collect();
    shown.join(" or ")
}
