//! Reads the Lua of a record, as far as it declares something: values, calls, `if`, `return`. It is never run.

use super::token::{Token, tokens};

/// Deeper expressions are nobody's declaration.
const DEEPEST: usize = 64;

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Text(String),
    Number(f64),
    Truth(bool),
    Nil,
    Name(String),
    /// Fields with their keys, as far as these are given.
    Table(Vec<(Option<Self>, Self)>),
    Call(String, Vec<Self>),
    /// `or`, `and`, `==` and the like between two values.
    Both(&'static str, Box<Self>, Box<Self>),
    /// Something else that is no declaration.
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Assign(String, Expression),
    Call(String, Vec<Expression>),
    Return(Expression),
    /// Conditions with what is done, and what is done else.
    If(Vec<(Expression, Vec<Self>)>, Vec<Self>),
}

/// The statements of a record: of an expression alone, its `return`. None where it is not understood.
pub(super) fn read(text: &str) -> Option<Vec<Statement>> {
    let (text, program) = match text.trim_start().strip_prefix(';') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    if program || reader.is_word("return") {
        let block = reader.block()?;
        return reader.ended().then_some(block);
    }
    // PowerDNS puts a `return` before it.
    let value = reader.expression()?;
    reader.take_symbol(";");
    reader.ended().then(|| vec![Statement::Return(value)])
}

/// The statements of a record that others include.
pub(super) fn read_program(text: &str) -> Option<Vec<Statement>> {
    read(&format!(";{}", text.trim_start().trim_start_matches(';')))
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Reader {
    /// Statements up to the end of the block.
    fn block(&mut self) -> Option<Vec<Statement>> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut out = Vec::new();
        loop {
            while self.take_symbol(";") {}
            if self.ended()
                || ["end", "else", "elseif"]
                    .iter()
                    .any(|word| self.is_word(word))
            {
                self.depth -= 1;
                return Some(out);
            }
            let statement = self.statement()?;
            out.push(statement);
        }
    }

    fn statement(&mut self) -> Option<Statement> {
        if self.take_word("return") {
            return self.expression().map(Statement::Return);
        }
        if self.take_word("if") {
            return self.condition();
        }
        self.take_word("local");
        let Some(Token::Word(name)) = self.next() else {
            return None;
        };
        if self.take_symbol("=") {
            return Some(Statement::Assign(name, self.expression()?));
        }
        match self.called(name)? {
            Expression::Call(name, arguments) => Some(Statement::Call(name, arguments)),
            _ => None,
        }
    }

    fn condition(&mut self) -> Option<Statement> {
        let mut branches = Vec::new();
        loop {
            let condition = self.expression()?;
            if !self.take_word("then") {
                return None;
            }
            branches.push((condition, self.block()?));
            if self.take_word("elseif") {
                continue;
            }
            let or_else = match self.take_word("else") {
                true => self.block()?,
                false => Vec::new(),
            };
            return self
                .take_word("end")
                .then_some(Statement::If(branches, or_else));
        }
    }

    /// Operators are all of one strength, but that `or` is the weakest: only `or`, and `==` in it, are understood later.
    fn expression(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut left = self.compared()?;
        while self.take_word("or") {
            let right = self.compared()?;
            left = Expression::Both("or", Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Some(left)
    }

    fn compared(&mut self) -> Option<Expression> {
        let mut left = self.value()?;
        loop {
            let operator = match self.peek() {
                Some(Token::Word(word)) if word == "and" => "and",
                Some(Token::Symbol(symbol))
                    if [
                        "==", "~=", "<", ">", "<=", ">=", "..", "+", "-", "*", "/", "%",
                    ]
                    .contains(symbol) =>
                {
                    symbol
                }
                _ => return Some(left),
            };
            self.at += 1;
            let right = self.value()?;
            left = Expression::Both(operator, Box::new(left), Box::new(right));
        }
    }

    /// What an operator with one operand makes of it: nothing that is understood.
    fn operand(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        self.value()?;
        self.depth -= 1;
        Some(Expression::Other)
    }

    fn value(&mut self) -> Option<Expression> {
        let value = match self.next()? {
            Token::Text(text) => Expression::Text(text),
            Token::Number(number) => Expression::Number(number),
            Token::Symbol("{") => Expression::Table(self.fields()?),
            Token::Symbol("(") => {
                let inner = self.expression()?;
                if !self.take_symbol(")") {
                    return None;
                }
                inner
            }
            Token::Symbol("-" | "#") => self.operand()?,
            Token::Word(word) => match word.as_str() {
                "true" => Expression::Truth(true),
                "false" => Expression::Truth(false),
                "nil" => Expression::Nil,
                "not" => self.operand()?,
                "function" => return None,
                _ => self.called(word)?,
            },
            Token::Symbol(_) => return None,
        };
        Some(value)
    }

    /// What follows a name: nothing, or arguments; fields and methods of it are not understood.
    fn called(&mut self, name: String) -> Option<Expression> {
        let mut value = match self.peek() {
            Some(Token::Symbol("(")) => {
                self.at += 1;
                Expression::Call(name, self.list(")")?)
            }
            Some(Token::Symbol("{")) => {
                self.at += 1;
                Expression::Call(name, vec![Expression::Table(self.fields()?)])
            }
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Expression::Call(name, vec![Expression::Text(text)])
            }
            _ => Expression::Name(name),
        };
        loop {
            match self.peek() {
                Some(Token::Symbol("." | ":")) => {
                    self.at += 1;
                    let Some(Token::Word(_)) = self.next() else {
                        return None;
                    };
                }
                Some(Token::Symbol("[")) => {
                    self.at += 1;
                    self.list("]")?;
                }
                Some(Token::Symbol("(")) => {
                    self.at += 1;
                    self.list(")")?;
                }
                _ => return Some(value),
            }
            value = Expression::Other;
        }
    }

    fn list(&mut self, close: &'static str) -> Option<Vec<Expression>> {
        let mut out = Vec::new();
        while !self.take_symbol(close) {
            out.push(self.expression()?);
            if !self.take_symbol(",") {
                return self.take_symbol(close).then_some(out);
            }
        }
        Some(out)
    }

    fn fields(&mut self) -> Option<Vec<(Option<Expression>, Expression)>> {
        let mut out = Vec::new();
        while !self.take_symbol("}") {
            let key = match (self.peek(), self.tokens.get(self.at + 1)) {
                (Some(Token::Word(word)), Some(Token::Symbol("="))) => {
                    let key = Expression::Text(word.clone());
                    self.at += 2;
                    Some(key)
                }
                (Some(Token::Symbol("[")), _) => {
                    self.at += 1;
                    let key = self.expression()?;
                    if !(self.take_symbol("]") && self.take_symbol("=")) {
                        return None;
                    }
                    Some(key)
                }
                _ => None,
            };
            out.push((key, self.expression()?));
            if !(self.take_symbol(",") || self.take_symbol(";")) {
                return self.take_symbol("}").then_some(out);
            }
        }
        Some(out)
    }

    fn ended(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(there)) if there == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Symbol(there)) if *there == symbol);
        self.at += usize::from(is);
        is
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, prop, prop_oneof, proptest};

    use super::*;

    #[test]
    fn an_expression_is_returned() {
        let read =
            read("ifportup(443, {'192.0.2.1', \"192.0.2.2\"}, {selector='all', ['timeout']=3})")
                .unwrap();
        let text = |t: &str| Expression::Text(t.into());
        let expected = Expression::Call(
            "ifportup".into(),
            vec![
                Expression::Number(443.0),
                Expression::Table(vec![(None, text("192.0.2.1")), (None, text("192.0.2.2"))]),
                Expression::Table(vec![
                    (Some(text("selector")), text("all")),
                    (Some(text("timeout")), Expression::Number(3.0)),
                ]),
            ],
        );
        assert_eq!(read, [Statement::Return(expected)]);
    }

    #[test]
    fn what_powerdns_shows_is_read() {
        for text in [
            "pickclosest({'192.0.2.1','192.0.2.2','198.51.100.1'})",
            ";if countryCode('US') then return {'192.0.2.1','192.0.2.2','198.51.100.1'} else return '192.0.2.2' end",
            "ifurlup('https://www.lua.org/',                  {{'192.0.2.1', '192.0.2.2'}, {'198.51.100.1'}},  {stringmatch='Programming in Lua'})              ",
            ";if(continent('EU')) then return 'west.powerdns.org' else return 'usa.powerdns.org' end",
            ";include('config')                               return ifurlup('https://www.lua.org/',        {USAips, EUips}, settings)                    ",
            "view({                                  { {'192.168.0.0/16'}, {'192.168.1.54'}},{ {'0.0.0.0/0'}, {'192.0.2.1'}}          }) ",
            "ifurlextup({{['192.168.0.1']='https://example.com/',['192.168.0.2']='https://example.com/404'}})",
            "filterForward(createForward(), newNMG({'192.0.2.0/24', '10.0.0.0/8'}))",
        ] {
            assert!(read(text).is_some(), "{text}");
        }
        let config = "settings={stringmatch='Programming in Lua'}  EUips={'192.0.2.1', '192.0.2.2'}             USAips={'198.51.100.1'}                      ";
        assert_eq!(read_program(config).unwrap().len(), 3);
    }

    #[test]
    fn programs_are_not_understood() {
        for text in [
            ";for i=1,3 do x=i end return x",
            ";local f = function() return 1 end return f()",
            "'a",
            "f(",
            "{1,,2}",
            "\"\\065\"",
            "a b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(
            read("bestwho:toString()"),
            Some(vec![Statement::Return(Expression::Other)])
        );
        assert_eq!(read(&"(".repeat(100_000)), None);
        assert_eq!(read(&format!(";{}", "if a then ".repeat(100_000))), None);
        assert_eq!(read(&"not ".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,200}") {
            let _ = (read(&text), read_program(&text));
        }

        #[test]
        fn no_words_break_it(words in prop::collection::vec(prop_oneof![
            Just("("), Just(")"), Just("{"), Just("}"), Just("["), Just("]"), Just("="), Just(","), Just("a"), Just("'x'"),
            Just(" or "), Just(" if "), Just(" then "), Just(" end "), Just(" return "), Just("1"), Just("-"), Just(".."), Just("é")], 0..120)) {
            let _ = read(&words.concat());
        }
    }
}
