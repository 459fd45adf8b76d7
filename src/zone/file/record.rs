//! One record: `[owner] [TTL] [class] type RDATA`, TTL and class in either order.

use super::problem::Problem;
use super::rdata::{self, Duration, duration, unescape};
use super::reader::Reader;
use super::token::{Lexer, Token};
use crate::diagnostic::Span;
use crate::zone::rtype::{RecordType, numbered};
use crate::zone::{Data, Name, Record};

/// The largest TTL (RFC 2181 8).
const MAX_TTL: u64 = (1 << 31) - 1;
/// The TTL of a record where nothing states one: what Knot and NSD take.
const DEFAULT_TTL: u32 = 3600;
/// A pool's `MIN` unless it is written: as short as resolvers take seriously.
const POOL_MIN_TTL: u32 = 30;

/// A TTL as it was written.
#[derive(Clone, Copy)]
struct Ttl {
    max: u32,
    /// The part after the slash, which only pools have.
    min: Option<u32>,
    span: Span,
}

/// What stands before the RDATA.
struct Head {
    ttl: Option<Ttl>,
    kind: Kind,
    type_span: Span,
}

enum Kind {
    Type(RecordType),
    Pool,
}

impl Reader<'_> {
    /// Reads a record. `owner` is its first token where that stands in the first column.
    pub(super) fn record(
        &mut self,
        owner: Option<Token<'_>>,
        lexer: &mut Lexer<'_>,
    ) -> Result<(), Problem> {
        if let Some(token) = owner {
            // Even if the rest of the record is wrong, the next one without an owner means this.
            self.owner = None;
            self.owner = Some(self.owner_of(token)?);
        }
        let head = head(lexer).map_err(|problem| forgotten_blank(problem, owner))?;
        let Some(name) = self.owner.clone() else {
            let problem = Problem::new(
                head.type_span,
                "this record has no owner, and there is none before it to go on with",
            );
            return Err(problem.note(
                "a line that starts with a blank belongs to the owner of the record before it",
            ));
        };
        let start = owner.map_or_else(
            || head.ttl.map_or(head.type_span, |ttl| ttl.span),
            |token| token.span,
        );
        self.rest(name, &head, start, lexer)
    }

    /// Reads what stands after the owner, of a record that `$GENERATE` made.
    pub(super) fn made_record(
        &mut self,
        owner: Name,
        at: Span,
        lexer: &mut Lexer<'_>,
    ) -> Result<(), Problem> {
        let head = head(lexer)?;
        self.rest(owner, &head, at, lexer)
    }

    fn rest(
        &mut self,
        owner: Name,
        head: &Head,
        start: Span,
        lexer: &mut Lexer<'_>,
    ) -> Result<(), Problem> {
        let data = match head.kind {
            Kind::Type(rtype) => {
                if let Some(ttl) = head.ttl.filter(|ttl| ttl.min.is_some()) {
                    return Err(Problem::new(ttl.span, "only a POOL has two TTLs"));
                }
                rdata::read(rtype, lexer, &self.origin, &mut self.scratch)?;
                Data::Plain {
                    rtype: rtype.0,
                    rdata: self.scratch.as_slice().into(),
                }
            }
            Kind::Pool => pool(head.ttl, lexer)?,
        };
        let span = lexer.span_from(start);
        let ttl = self.ttl(head, span);
        let data = match data {
            Data::Pool {
                pool,
                min_ttl,
                span,
            } => Data::Pool {
                pool,
                min_ttl: min_ttl.min(ttl),
                span,
            },
            plain @ Data::Plain { .. } => plain,
        };
        self.records.push(Record {
            owner,
            ttl,
            data,
            span,
        });
        Ok(())
    }

    /// The record's own TTL, else that of `$TTL` (RFC 2308 4), else the last one stated (RFC 1035 5.1).
    fn ttl(&mut self, head: &Head, span: Span) -> u32 {
        if let Some(ttl) = head.ttl {
            self.last_ttl = Some(ttl.max);
            return ttl.max;
        }
        if let Some(ttl) = self.default_ttl.or(self.last_ttl) {
            return ttl;
        }
        if !self.told_missing_ttl {
            self.told_missing_ttl = true;
            let message = format!("no TTL is stated: {DEFAULT_TTL} is taken");
            self.found
                .warning(span, message)
                .note("write $TTL before the first record");
        }
        DEFAULT_TTL
    }
}

fn head(lexer: &mut Lexer<'_>) -> Result<Head, Problem> {
    let mut ttl = None;
    let mut class = false;
    loop {
        let token = lexer.expect("a record type")?;
        if ttl.is_none() && token.text.first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(read_ttl(token)?);
        } else if !class && is_class(token)? {
            class = true;
        } else {
            return Ok(Head {
                ttl,
                kind: kind(token)?,
                type_span: token.span,
            });
        }
    }
}

/// Whether it is a class; any but IN is an error.
fn is_class(token: Token<'_>) -> Result<bool, Problem> {
    let other = ["CH", "CHAOS", "HS", "HESIOD", "CS", "NONE"]
        .iter()
        .any(|class| token.is(class));
    match numbered(token.text, b"CLASS") {
        Some(1) => return Ok(true),
        None if !other => return Ok(token.is("IN")),
        _ => {}
    }
    Err(Problem::new(
        token.span,
        format!("class {} is not served: only IN", token.show()),
    ))
}

fn kind(token: Token<'_>) -> Result<Kind, Problem> {
    if token.is("POOL") {
        return Ok(Kind::Pool);
    }
    match RecordType::named(token.text) {
        Some(rtype) if rtype.is_meta() => Err(Problem::new(
            token.span,
            format!("{rtype} is a type for questions: no record has it"),
        )),
        Some(rtype) => Ok(Kind::Type(rtype)),
        None => {
            let word = token.show();
            let problem = Problem::new(token.span, format!("unknown record type \"{word}\""));
            Err(problem.suggest(word, || {
                RecordType::mnemonics().chain(["POOL", "IN"]).collect()
            }))
        }
    }
}

/// A type in the first column was most likely meant as one, if it is in capitals: `a` is a fine owner.
fn forgotten_blank(problem: Problem, owner: Option<Token<'_>>) -> Problem {
    let word = owner.map(|token| token.text).unwrap_or_default();
    let meant = word == b"IN"
        || word == b"POOL"
        || RecordType::mnemonics().any(|known| known.as_bytes() == word);
    if !meant {
        return problem;
    }
    let word = String::from_utf8_lossy(word);
    problem.note(format!(
        "\"{word}\" in the first column is an owner: is a blank missing before it?"
    ))
}

/// `MAX` or `MAX/MIN`.
fn read_ttl(token: Token<'_>) -> Result<Ttl, Problem> {
    let Some(slash) = token.text.iter().position(|&b| b == b'/') else {
        return Ok(Ttl {
            max: plain_ttl(token)?,
            min: None,
            span: token.span,
        });
    };
    let part = |text| plain_ttl(Token { text, ..token });
    let max = part(&token.text[..slash])?;
    let min = part(&token.text[slash + 1..])?;
    if min > max {
        return Err(Problem::new(
            token.span,
            format!("a TTL of at most {max} and at least {min}: write MAX/MIN"),
        ));
    }
    Ok(Ttl {
        max,
        min: Some(min),
        span: token.span,
    })
}

/// A TTL in seconds.
pub(super) fn plain_ttl(token: Token<'_>) -> Result<u32, Problem> {
    match duration(token.text) {
        Duration::Seconds(seconds) if seconds <= MAX_TTL => {
            Ok(u32::try_from(seconds).unwrap_or(u32::MAX))
        }
        Duration::Seconds(_) => Err(Problem::new(
            token.span,
            format!("a TTL is at most {MAX_TTL} seconds"),
        )),
        Duration::Malformed => {
            let problem = Problem::new(token.span, format!("\"{}\" is no TTL", token.show()));
            Err(problem.note("a TTL is a number of seconds, or written as 1h30m"))
        }
    }
}

fn pool(ttl: Option<Ttl>, lexer: &mut Lexer<'_>) -> Result<Data, Problem> {
    let token = lexer.expect_any("a pool's name")?;
    let mut name = Vec::new();
    unescape(token, &mut name)?;
    let name = String::from_utf8(name).ok().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Problem::new(token.span, "this is no pool's name"))?;
    lexer.expect_end()?;
    let min_ttl = ttl.and_then(|ttl| ttl.min).unwrap_or(POOL_MIN_TTL);
    Ok(Data::Pool {
        pool: name.into(),
        min_ttl,
        span: token.span,
    })
}
