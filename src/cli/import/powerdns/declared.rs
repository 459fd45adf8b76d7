//! What the Lua of a record declares: for which clients which value is returned.

use std::collections::HashMap;

use super::lua::{Expression, Statement};

/// A value for some clients; without any, for all who are left.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub(super) from: Vec<String>,
    pub(super) value: Expression,
}

/// Programs of other records, by name, for `include`.
pub(super) type Includes = HashMap<String, Vec<Statement>>;

/// The branches of a program, the first that means a client holds; the last is for everybody. None where it works something out.
pub(super) fn branches(program: &[Statement], includes: &Includes) -> Option<Vec<Branch>> {
    let mut names = HashMap::new();
    let branches = run(program, includes, &mut names, 0)?;
    let last = branches.last()?;
    last.from.is_empty().then_some(branches)
}

/// Programs include programs this deep.
const DEEPEST: usize = 8;

fn run(
    program: &[Statement],
    includes: &Includes,
    names: &mut HashMap<String, Expression>,
    depth: usize,
) -> Option<Vec<Branch>> {
    let mut out = Vec::new();
    for statement in program {
        match statement {
            Statement::Assign(name, value) => {
                let value = settle(value, names, 0)?;
                names.insert(name.clone(), value);
            }
            Statement::Call(name, arguments) => {
                let [Expression::Text(other)] = &arguments[..] else {
                    return None;
                };
                let program = includes.get(&other.to_ascii_lowercase())?;
                if name != "include"
                    || depth >= DEEPEST
                    || !run(program, includes, names, depth + 1)?.is_empty()
                {
                    return None;
                }
            }
            Statement::Return(value) => {
                out.extend(value_branches(&settle(value, names, 0)?)?);
                return Some(out);
            }
            Statement::If(branches, or_else) => {
                for (condition, block) in branches {
                    let from = clients(&settle(condition, names, 0)?)?;
                    let inner = run(block, includes, &mut names.clone(), depth)?;
                    let [Branch { from: none, value }] = &inner[..] else {
                        return None;
                    };
                    if !none.is_empty() {
                        return None;
                    }
                    out.push(Branch {
                        from,
                        value: value.clone(),
                    });
                }
                if !or_else.is_empty() {
                    out.extend(run(or_else, includes, &mut names.clone(), depth)?);
                    return Some(out);
                }
            }
        }
    }
    Some(out)
}

/// With the values of names in their places.
fn settle(
    value: &Expression,
    names: &HashMap<String, Expression>,
    depth: usize,
) -> Option<Expression> {
    // A name may be made of names, each twice: what grows without bound is no declaration.
    if depth > 64 || size(value) > 100_000 {
        return None;
    }
    let settle = |value: &Expression| settle(value, names, depth + 1);
    Some(match value {
        Expression::Name(name) => names.get(name)?.clone(),
        Expression::Table(fields) => {
            let field = |(key, value): &(Option<Expression>, Expression)| {
                let key = match key {
                    Some(key) => Some(settle(key)?),
                    None => None,
                };
                Some((key, settle(value)?))
            };
            let table = Expression::Table(fields.iter().map(field).collect::<Option<_>>()?);
            (size(&table) <= 100_000).then_some(table)?
        }
        Expression::Call(name, arguments) => Expression::Call(
            name.clone(),
            arguments.iter().map(settle).collect::<Option<_>>()?,
        ),
        Expression::Both(operator, left, right) => {
            Expression::Both(operator, Box::new(settle(left)?), Box::new(settle(right)?))
        }
        Expression::Other => return None,
        plain => plain.clone(),
    })
}

/// How many values it is made of.
fn size(value: &Expression) -> usize {
    1 + match value {
        Expression::Table(fields) => fields.iter().map(|(_, value)| size(value)).sum(),
        Expression::Call(_, arguments) => arguments.iter().map(size).sum(),
        Expression::Both(_, left, right) => size(left) + size(right),
        _ => 0,
    }
}

/// A value, or the values of a `view`.
fn value_branches(value: &Expression) -> Option<Vec<Branch>> {
    let Expression::Call(name, arguments) = value else {
        return Some(vec![Branch {
            from: Vec::new(),
            value: value.clone(),
        }]);
    };
    if name != "view" {
        return Some(vec![Branch {
            from: Vec::new(),
            value: value.clone(),
        }]);
    }
    let [Expression::Table(pairs)] = &arguments[..] else {
        return None;
    };
    let mut out = Vec::new();
    for (_, pair) in pairs {
        let Expression::Table(pair) = pair else {
            return None;
        };
        let [(None, nets), (None, values)] = &pair[..] else {
            return None;
        };
        let from = texts(nets)?;
        let everybody = from.iter().any(|net| net == "0.0.0.0/0" || net == "::/0");
        // One of the values of a view is drawn.
        let value = Expression::Call("pickrandom".into(), vec![values.clone()]);
        out.push(Branch {
            from: if everybody { Vec::new() } else { from },
            value,
        });
        if everybody {
            break;
        }
    }
    Some(out)
}

/// The texts of a list, or the one text.
pub(super) fn texts(value: &Expression) -> Option<Vec<String>> {
    let text = |value: &Expression| match value {
        Expression::Text(text) => Some(text.trim().to_owned()),
        _ => None,
    };
    match value {
        Expression::Table(fields) => fields.iter().map(|(_, value)| text(value)).collect(),
        value => text(value).map(|text| vec![text]),
    }
}

/// The selectors that a condition means.
fn clients(condition: &Expression) -> Option<Vec<String>> {
    let with = |kind: &str, list: Vec<String>| {
        let fits = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphabetic());
        list.iter().all(fits).then(|| {
            list.iter()
                .map(|code| format!("{kind}:{}", code.to_ascii_uppercase()))
                .collect()
        })
    };
    match condition {
        Expression::Both("or", left, right) => {
            let mut all = clients(left)?;
            all.extend(clients(right)?);
            Some(all)
        }
        Expression::Both("==", left, right) => {
            let (Expression::Call(name, none), Expression::Text(code)) = (&**left, &**right) else {
                return None;
            };
            match (name.as_str(), none.is_empty()) {
                ("countryCode", true) => with("country", vec![code.clone()]),
                ("continentCode", true) => with("continent", vec![code.clone()]),
                _ => None,
            }
        }
        Expression::Call(name, arguments) => {
            let [argument] = &arguments[..] else {
                return None;
            };
            match name.as_str() {
                // PowerDNS's own example asks `countryCode('US')`.
                "country" | "countryCode" => with("country", texts(argument)?),
                "continent" | "continentCode" => with("continent", texts(argument)?),
                "netmask" => texts(argument),
                "asnum" => systems(argument),
                _ => None,
            }
        }
        _ => None,
    }
}

fn systems(value: &Expression) -> Option<Vec<String>> {
    let one = |value: &Expression| match value {
        Expression::Number(number)
            if number.fract() == 0.0 && (1.0..=4_294_967_295.0).contains(number) =>
        {
            Some(format!("AS{number}"))
        }
        _ => None,
    };
    match value {
        Expression::Table(fields) => fields.iter().map(|(_, value)| one(value)).collect(),
        value => one(value).map(|system| vec![system]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::lua::read;
    use super::*;

    fn shown(text: &str, config: &str) -> Option<Vec<(String, String)>> {
        let mut includes = Includes::new();
        includes.insert("config".into(), super::super::lua::read_program(config)?);
        let branches = branches(&read(text)?, &includes)?;
        Some(
            branches
                .iter()
                .map(|b| (b.from.join(","), format!("{:?}", texts(&b.value))))
                .collect(),
        )
    }

    fn pair(from: &str, value: &str) -> (String, String) {
        (from.into(), format!("Some([\"{value}\"])"))
    }

    #[test]
    fn conditions_on_the_client_are_selectors() {
        let text = ";if country('IR') or asnum({1,2}) then return 'a' elseif continent({'EU','AF'}) then return 'b' end if netmask({'10.0.0.0/8'}) then return 'c' else return 'd' end";
        assert_eq!(
            shown(text, "").unwrap(),
            [
                pair("country:IR,AS1,AS2", "a"),
                pair("continent:EU,continent:AF", "b"),
                pair("10.0.0.0/8", "c"),
                pair("", "d")
            ]
        );
    }

    #[test]
    fn names_come_from_records_that_are_included() {
        assert_eq!(
            shown(";include('config') return x", "x='a'").unwrap(),
            [pair("", "a")]
        );
        assert_eq!(shown(";include('config') return y", "x='a'"), None);
        assert_eq!(
            shown(";include('config') return x", "include('config')"),
            None
        );
    }

    #[test]
    fn what_grows_or_works_something_out_is_none() {
        let grows: String = (0..40).map(|_| "a={a,a} ").collect();
        assert_eq!(shown(&format!(";a='x' {grows} return a"), ""), None);
        for text in [
            ";if qname == 'x' then return 'a' else return 'b' end",
            ";if country('US') then return 'a' end",
            ";if not country('US') then return 'a' else return 'b' end",
            "latlon() .. 'x' .. y",
        ] {
            assert_eq!(shown(text, ""), None, "{text}");
        }
    }

    #[test]
    fn a_view_is_its_networks() {
        let text =
            "view({ { {'192.168.0.0/16'}, {'192.168.1.54'}},{ {'0.0.0.0/0'}, {'192.0.2.1'}} })";
        let branches = branches(&read(text).unwrap(), &Includes::new()).unwrap();
        let from: Vec<_> = branches.iter().map(|b| b.from.clone()).collect();
        assert_eq!(from, [vec!["192.168.0.0/16".to_owned()], vec![]]);
    }
}
