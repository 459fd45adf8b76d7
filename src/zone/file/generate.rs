//! `$GENERATE range owner [TTL] [class] type RDATA`: a record for each number of a range, as BIND made it known.
//!
//! `$` stands for the number, `${offset,width,base}` for a sum written in another way, `$$` and `\$` for a dollar sign.

use std::fmt::Write as _;
use std::io::Write as _;

use super::problem::Problem;
use super::reader::Reader;
use super::token::{Lexer, Token};
use crate::diagnostic::Span;
use crate::zone::Name;

/// So many records one directive may make: those of a /16.
const MOST: u64 = 65_536;
/// The widest number.
const WIDEST: usize = 255;

struct Range {
    first: i64,
    last: i64,
    step: i64,
}

impl Reader<'_> {
    /// Makes the records; the directive's name has been read.
    pub(super) fn generate(
        &mut self,
        directive: Token<'_>,
        lexer: &mut Lexer<'_>,
    ) -> Result<(), Problem> {
        let range = range(lexer.expect("a range as 1-100")?)?;
        let owner = lexer.expect("an owner with $")?;
        let mut rest = Vec::new();
        while let Some(token) = lexer.next()? {
            rest.push(token);
        }
        let span = lexer.span_from(directive.span);
        let rest = template(&rest);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut number = range.first;
        while number <= range.last {
            left.clear();
            right.clear();
            fill(owner.text, number, owner.span, &mut left)?;
            fill(&rest, number, span, &mut right)?;
            let name =
                Name::parse(&left, Some(&self.origin)).map_err(|e| Problem::name(owner.span, e))?;
            self.owner = Some(name.clone());
            // What is wrong with one is wrong with most: one error is enough.
            self.made_record(name, span, &mut Lexer::made(&right, span))
                .map_err(|problem| {
                    problem.note(format!("in the record that is made where $ is {number}"))
                })?;
            number += range.step;
        }
        Ok(())
    }
}

/// `first-last` or `first-last/step`.
fn range(token: Token<'_>) -> Result<Range, Problem> {
    let parsed = std::str::from_utf8(token.text).ok().and_then(|text| {
        let (ends, step) = text.split_once('/').unwrap_or((text, "1"));
        let (first, last) = ends.split_once('-')?;
        let number = |t: &str| t.parse::<u32>().ok().map(i64::from);
        Some(Range {
            first: number(first)?,
            last: number(last)?,
            step: number(step)?,
        })
    });
    let Some(range) = parsed.filter(|r| r.first <= r.last && r.step > 0) else {
        let problem = Problem::new(token.span, format!("\"{}\" is no range", token.show()));
        return Err(problem.note("write FIRST-LAST or FIRST-LAST/STEP"));
    };
    let count = ((range.last - range.first) / range.step).unsigned_abs() + 1;
    if count > MOST {
        return Err(Problem::new(
            token.span,
            format!("{count} records: at most {MOST} can be made at a time"),
        ));
    }
    Ok(range)
}

/// The tokens after the owner as one line again. A last word of RDATA in quotes that only keep blanks together, as in
/// `MX "10 mail$"`, is taken out of them; the types that have strings are written with quotes of their own.
fn template(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut line = Vec::new();
    let texts = [
        "TXT", "SPF", "HINFO", "CAA", "URI", "NAPTR", "X25", "ISDN", "POOL",
    ];
    let keeps_blanks = match tokens {
        [.., kind, last] => last.quoted && !texts.iter().any(|text| kind.is(text)),
        _ => false,
    };
    for (at, token) in tokens.iter().enumerate() {
        let quoted = token.quoted && !(keeps_blanks && at + 1 == tokens.len());
        line.push(b' ');
        if quoted {
            line.push(b'"');
        }
        line.extend_from_slice(token.text);
        if quoted {
            line.push(b'"');
        }
    }
    line
}

/// Writes the template with `number` in it.
fn fill(template: &[u8], number: i64, span: Span, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|&b| b == b'$' || b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let used = match rest {
            // An escape goes on to be read as one: `\$` is a dollar sign there.
            [b'\\', ..] => {
                out.extend_from_slice(&rest[..rest.len().min(2)]);
                rest.len().min(2)
            }
            [b'$', b'$', ..] => {
                out.extend_from_slice(b"\\$");
                2
            }
            [b'$', b'{', ..] => {
                let end = rest.iter().position(|&b| b == b'}');
                let end = end.ok_or_else(|| Problem::new(span, "a } is missing after ${"))?;
                modified(&rest[2..end], number, span, out)?;
                end + 1
            }
            _ => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "{number}");
                1
            }
        };
        rest = &rest[used..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// `offset[,width[,base]]`.
fn modified(text: &[u8], number: i64, span: Span, out: &mut Vec<u8>) -> Result<(), Problem> {
    let wrong = || {
        let problem = Problem::new(
            span,
            format!("\"${{{}}}\" is malformed", String::from_utf8_lossy(text)),
        );
        problem.note("write ${OFFSET}, ${OFFSET,WIDTH} or ${OFFSET,WIDTH,BASE}, a base of d, o, x, X, n or N")
    };
    let parts: Vec<&str> = std::str::from_utf8(text)
        .map_err(|_| wrong())?
        .split(',')
        .collect();
    let (offset, width, base) = match parts.as_slice() {
        [offset] => (*offset, "0", "d"),
        [offset, width] => (*offset, *width, "d"),
        [offset, width, base] => (*offset, *width, *base),
        _ => return Err(wrong()),
    };
    let offset = offset.parse::<i32>().map_err(|_| wrong())?;
    let width = width
        .parse::<usize>()
        .ok()
        .filter(|&w| w <= WIDEST)
        .ok_or_else(wrong)?;
    let value = number + i64::from(offset);
    if value < 0 {
        return Err(Problem::new(
            span,
            format!("{number} and {offset} make a negative number"),
        ));
    }
    let mut made = String::new();
    // Writing to a String cannot fail.
    let _ = match base {
        "d" => write!(made, "{value:0width$}"),
        "o" => write!(made, "{value:0width$o}"),
        "x" => write!(made, "{value:0width$x}"),
        "X" => write!(made, "{value:0width$X}"),
        "n" => write!(
            made,
            "{}",
            nibbles(&format!("{value:0digits$x}", digits = width.div_ceil(2)))
        ),
        "N" => write!(
            made,
            "{}",
            nibbles(&format!("{value:0digits$X}", digits = width.div_ceil(2)))
        ),
        _ => return Err(wrong()),
    };
    out.extend_from_slice(made.as_bytes());
    Ok(())
}

/// The digits from right to left with dots between them, as ip6.arpa has them; the width counts the dots.
fn nibbles(digits: &str) -> String {
    digits
        .chars()
        .rev()
        .map(String::from)
        .collect::<Vec<_>>()
        .join(".")
}
