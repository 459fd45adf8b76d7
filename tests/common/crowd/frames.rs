//! HTTP/2 by hand (RFC 9113), as no client would speak it that means well.

/// What a connection begins with, and our settings: none.
pub fn preface() -> Vec<u8> {
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    out.extend(frame(SETTINGS, 0, 0, &[]));
    out
}

pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![a, b, c, kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// Header fields, none of them compressed and none to be remembered (RFC 7541 6.2.2).
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            // Seven bits: what is longer needs more octets.
            assert!(text.len() < 127, "{text}");
            out.push(u8::try_from(text.len()).unwrap());
            out.extend(text.as_bytes());
        }
    }
    out
}

/// The head of a request for a message in base64url, as one frame.
pub fn get(stream: u32, authority: &str, coded: &str) -> Vec<u8> {
    let path = format!("/dns-query?dns={coded}");
    let fields = fields(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", authority),
        (":path", &path),
    ]);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields)
}

/// The request is taken back.
pub fn reset(stream: u32) -> Vec<u8> {
    // CANCEL.
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

/// Without padding (RFC 4648 5).
pub fn base64url(octets: &[u8]) -> String {
    data_encoding::BASE64URL_NOPAD.encode(octets)
}
