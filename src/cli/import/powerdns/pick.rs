//! PowerDNS's functions that return addresses or names: from which lists, checked how, and which of them.

use std::net::IpAddr;

use super::declared::texts;
use super::lua::Expression;
use super::probe::{self, Checked};

/// One of the values, with its weight.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) value: Value,
    pub(super) weight: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Ip(IpAddr),
    Name(String),
}

/// Which of those that serve are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Random(u32),
    Hashed,
    Nearest,
    All,
}

/// What a function returns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pick {
    /// Sets, the first first.
    pub(super) sets: Vec<Vec<Member>>,
    pub(super) which: Which,
    /// Which of all, when nobody serves; where the record says it.
    pub(super) backup: Option<Which>,
    pub(super) checked: Option<Checked>,
    /// Settings that have no like here, with what to do instead.
    pub(super) lost: Vec<(String, String)>,
}

/// The pick that a value is; or why it is none.
pub(super) fn pick(value: &Expression) -> Result<Pick, String> {
    let Expression::Call(name, arguments) = value else {
        // A value by itself is returned as it is, and a list whole.
        return plain(vec![members(value)?], Which::All);
    };
    let argument = |number: usize| arguments.get(number).unwrap_or(&Expression::Nil);
    match name.as_str() {
        "all" => plain(vec![members(argument(0))?], Which::All),
        "pickrandom" => plain(vec![members(argument(0))?], Which::Random(1)),
        "pickclosest" => plain(vec![members(argument(0))?], Which::Nearest),
        "pickhashed" => plain(vec![members(argument(0))?], Which::Hashed),
        "pickrandomsample" => {
            let Expression::Number(count) = argument(0) else {
                return Err("pickrandomsample without a number".to_owned());
            };
            plain(
                vec![members(argument(1))?],
                Which::Random(whole(*count).clamp(1, 32)),
            )
        }
        "pickwrandom" => plain(vec![weighted(argument(0))?], Which::Random(1)),
        "pickwhashed" | "pickchashed" => plain(vec![weighted(argument(0))?], Which::Hashed),
        "ifportup" => checked(Checked::port(argument(0))?, argument(1), argument(2)),
        "ifurlup" => checked(Checked::url(argument(0))?, argument(1), argument(2)),
        _ => Err("a function without a like here".to_owned()),
    }
}

fn plain(sets: Vec<Vec<Member>>, which: Which) -> Result<Pick, String> {
    Ok(Pick {
        sets,
        which,
        backup: None,
        checked: None,
        lost: Vec::new(),
    })
}

/// A number of Lua as a whole one.
pub(super) fn whole(number: f64) -> u32 {
    // Limited to what fits first, so nothing is cut.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to the most that fits"
    )]
    let whole = number.clamp(0.0, f64::from(u32::MAX)) as u32;
    whole
}

fn checked(
    mut checked: Checked,
    addresses: &Expression,
    options: &Expression,
) -> Result<Pick, String> {
    let sets = match addresses {
        Expression::Table(fields)
            if fields
                .iter()
                .any(|(_, v)| matches!(v, Expression::Table(_))) =>
        {
            fields
                .iter()
                .map(|(_, set)| members(set))
                .collect::<Result<Vec<_>, _>>()?
        }
        list => vec![members(list)?],
    };
    let mut out = plain(sets, Which::Random(1))?;
    let Expression::Table(options) = options else {
        out.checked = Some(checked);
        return Ok(out);
    };
    for (key, value) in options {
        let Some(Expression::Text(key)) = key else {
            return Err("options without names".to_owned());
        };
        match (key.as_str(), value) {
            ("selector", Expression::Text(word)) => out.which = which(word)?,
            ("backupSelector", Expression::Text(word)) => out.backup = Some(which(word)?),
            _ => {
                if let Some(instead) = probe::option(&mut checked, key, value)? {
                    out.lost.push((format!("option {key}"), instead.to_owned()));
                }
            }
        }
    }
    out.checked = Some(checked);
    Ok(out)
}

fn which(word: &str) -> Result<Which, String> {
    match word {
        "random" | "pickrandom" => Ok(Which::Random(1)),
        "hashed" | "pickhashed" => Ok(Which::Hashed),
        "pickclosest" => Ok(Which::Nearest),
        "all" => Ok(Which::All),
        word => Err(format!("the selector {word}")),
    }
}

fn members(value: &Expression) -> Result<Vec<Member>, String> {
    let texts = texts(value).filter(|texts| !texts.is_empty());
    let texts = texts.ok_or("a list that is worked out")?;
    Ok(texts.into_iter().map(|text| member(text, None)).collect())
}

fn member(text: String, weight: Option<u32>) -> Member {
    let value = match text.parse() {
        Ok(ip) => Value::Ip(ip),
        Err(_) => Value::Name(text),
    };
    Member { value, weight }
}

/// `{ {15, "192.0.2.1"}, … }`
fn weighted(value: &Expression) -> Result<Vec<Member>, String> {
    let wrong = || "weights that are worked out".to_owned();
    let Expression::Table(pairs) = value else {
        return Err(wrong());
    };
    let pair = |(_, pair): &(Option<Expression>, Expression)| match pair {
        Expression::Table(pair) => match &pair[..] {
            [
                (None, Expression::Number(weight)),
                (None, Expression::Text(text)),
            ] => Ok(member(
                text.trim().to_owned(),
                Some(whole(*weight).min(1_000_000)),
            )),
            [
                (None, Expression::Text(weight)),
                (None, Expression::Text(text)),
            ] => {
                let weight = weight.trim().parse::<u32>().map_err(|_| wrong())?;
                Ok(member(text.trim().to_owned(), Some(weight.min(1_000_000))))
            }
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    pairs.iter().map(pair).collect()
}
