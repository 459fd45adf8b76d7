//! `$ORIGIN`, `$TTL`, `$INCLUDE` and `$GENERATE` (RFC 1035 5.1, RFC 2308 4).

use super::problem::Problem;
use super::rdata::unescape;
use super::reader::{Include, Reader};
use super::record::plain_ttl;
use super::token::{Lexer, Token};

const DIRECTIVES: [&str; 4] = ["$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE"];

impl Reader<'_> {
    /// Carries out a directive, whose name has been read. An `$INCLUDE` is handed back to be carried out.
    pub(super) fn directive(
        &mut self,
        name: Token<'_>,
        lexer: &mut Lexer<'_>,
    ) -> Result<Option<Include>, Problem> {
        if name.is("$ORIGIN") {
            self.set_origin(lexer)?;
        } else if name.is("$TTL") {
            let ttl = plain_ttl(lexer.expect("a TTL")?)?;
            lexer.expect_end()?;
            self.default_ttl = Some(ttl);
        } else if name.is("$INCLUDE") {
            return self.wanted(lexer).map(Some);
        } else if name.is("$GENERATE") {
            self.generate(name, lexer)?;
        } else {
            let word = name.show();
            let problem = Problem::new(name.span, format!("unknown directive \"{word}\""));
            return Err(problem.suggest(word, || DIRECTIVES.to_vec()));
        }
        Ok(None)
    }

    fn set_origin(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Problem> {
        let token = lexer.expect("a name")?;
        let origin = self.owner_of(token)?;
        lexer.expect_end()?;
        if self.zone.stated.is_none() && self.records.is_empty() && self.at_top() {
            self.zone.stated = Some(origin.clone());
        }
        self.origin = origin;
        Ok(())
    }

    fn wanted(&mut self, lexer: &mut Lexer<'_>) -> Result<Include, Problem> {
        let token = lexer.expect_any("a file's name")?;
        let mut file = Vec::new();
        unescape(token, &mut file)?;
        let origin = lexer
            .next()?
            .map(|token| self.owner_of(token))
            .transpose()?;
        lexer.expect_end()?;
        Ok(Include {
            file,
            file_span: token.span,
            origin,
        })
    }
}
