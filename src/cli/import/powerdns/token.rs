//! Words of Lua.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

/// Longer ones first.
const SYMBOLS: [&str; 30] = [
    "...", "==", "~=", "<=", ">=", "..", "::", "//", "<<", ">>", "(", ")", "{", "}", "[", "]", ",",
    ";", "=", "<", ">", "+", "-", "*", "/", "%", "^", "#", ".", ":",
];

/// The words of a text; none where it is no Lua.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Some(out);
        };
        if let Some(comment) = rest.strip_prefix("--") {
            if comment.starts_with("[[") {
                rest = comment.split_once("]]")?.1;
            } else {
                rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            }
        } else if first == '\'' || first == '"' {
            let (text, after) = quoted(rest)?;
            out.push(Token::Text(text));
            rest = after;
        } else if let Some(long) = rest.strip_prefix("[[") {
            let (text, after) = long.split_once("]]")?;
            out.push(Token::Text(text.to_owned()));
            rest = after;
        } else if first.is_ascii_digit() {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'))
                .unwrap_or(rest.len());
            out.push(Token::Number(rest[..end].parse().ok()?));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol))?;
            out.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        }
    }
}

/// A text in quotes of either kind, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut out = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                // Octets by number are not met in addresses and names.
                '0'..='9' | 'x' | 'u' | 'z' => return None,
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
    None
}
