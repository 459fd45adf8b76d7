//! Walks over a file's entries and into the files it includes, and remembers what the next entry may leave out.

use std::path::PathBuf;

use super::folder::{Folder, read_file};
use super::problem::Problem;
use super::token::{Lexer, Start, Token};
use crate::diagnostic::{Diagnostics, Sources, Span};
use crate::zone::{Data, Name, Record, rtype};

/// Files may include files this deep.
const DEEPEST: usize = 16;
/// So many times a zone may include a file: two files that each include the next twice would else run for ever.
const MOST_INCLUDES: usize = 4096;

/// What a master file says.
#[derive(Debug)]
pub struct Contents {
    /// The records in the order in which they stand.
    pub records: Vec<Record>,
    /// The zone's name: the one given, unless the file's first `$ORIGIN`, standing before any record, says otherwise.
    /// Where the SOA stands at the name given, that is the name: `$ORIGIN .` and then `example.org SOA` is common.
    pub origin: Name,
}

/// What an `$INCLUDE` asks for.
pub(super) struct Include {
    pub(super) file: Vec<u8>,
    pub(super) file_span: Span,
    pub(super) origin: Option<Name>,
}

/// Reads one zone.
pub(super) struct Reader<'a> {
    pub(super) found: &'a mut Diagnostics,
    pub(super) records: Vec<Record>,
    /// What relative names are completed with.
    pub(super) origin: Name,
    /// The owner of the last record.
    pub(super) owner: Option<Name>,
    /// From `$TTL`.
    pub(super) default_ttl: Option<u32>,
    /// The one that was stated last.
    pub(super) last_ttl: Option<u32>,
    /// It was said that a record has no TTL.
    pub(super) told_missing_ttl: bool,
    /// Where RDATA are made.
    pub(super) scratch: Vec<u8>,
    pub(super) zone: ZoneName,
    folder: Folder,
    stack: Vec<Frame>,
    /// Files that were read: the same file included twice is kept once.
    files: Vec<(PathBuf, u32)>,
    includes: usize,
}

/// The zone's name as it is known so far.
pub(super) struct ZoneName {
    /// Given by the caller.
    given: Name,
    /// From the first `$ORIGIN`, before any record.
    pub(super) stated: Option<Name>,
}

/// A file being read.
struct Frame {
    file: u32,
    /// Without links, against cycles.
    real: Option<PathBuf>,
    /// Where its next entry starts.
    at: usize,
    /// What was true before it, restored after it.
    before: (Name, Option<Name>, Option<u32>),
}

impl<'a> Reader<'a> {
    pub(super) fn new(origin: &Name, folder: Folder, found: &'a mut Diagnostics) -> Self {
        Self {
            found,
            records: Vec::new(),
            origin: origin.clone(),
            owner: None,
            default_ttl: None,
            last_ttl: None,
            told_missing_ttl: false,
            scratch: Vec::new(),
            zone: ZoneName {
                given: origin.clone(),
                stated: None,
            },
            folder,
            stack: Vec::new(),
            files: Vec::new(),
            includes: 0,
        }
    }

    /// Reads `file` of `sources` and what it includes.
    pub(super) fn read(mut self, file: u32, sources: &mut Sources) -> Contents {
        let real = PathBuf::from(sources.path(file)).canonicalize().ok();
        self.push(file, real, sources);
        while let Some(frame) = self.stack.last() {
            let mut lexer = Lexer::new(sources.text(frame.file), frame.file, frame.at);
            let include = self.entries(&mut lexer);
            let at = lexer.at();
            if let Some(frame) = self.stack.last_mut() {
                frame.at = at;
            }
            match include {
                Some(include) => {
                    if let Err(problem) = self.include(include, sources) {
                        problem.report(self.found);
                    }
                }
                None => self.pop(),
            }
        }
        Contents {
            origin: self.zone.settle(&self.records),
            records: self.records,
        }
    }

    /// Whether it reads the zone's own file, none that it includes.
    pub(super) fn at_top(&self) -> bool {
        self.stack.len() == 1
    }

    /// Entries up to the end of the file, or up to the next `$INCLUDE`.
    fn entries(&mut self, lexer: &mut Lexer<'_>) -> Option<Include> {
        while let Some(start) = lexer.begin() {
            match self.entry(start, lexer) {
                Ok(None) => {}
                Ok(include) => return include,
                Err(problem) => self.recover(problem, lexer),
            }
        }
        None
    }

    fn entry(&mut self, start: Start, lexer: &mut Lexer<'_>) -> Result<Option<Include>, Problem> {
        if start == Start::Blank {
            self.record(None, lexer)?;
            return Ok(None);
        }
        // A parenthesis in the first column may hold nothing at all.
        let Some(first) = lexer.next()? else {
            return Ok(None);
        };
        if first.text.starts_with(b"$") && !first.quoted {
            return self.directive(first, lexer);
        }
        self.record(Some(first), lexer)?;
        Ok(None)
    }

    /// Reports a problem and goes to where the next entry starts.
    fn recover(&mut self, problem: Problem, lexer: &mut Lexer<'_>) {
        if problem.loses_parenthesis {
            let open = lexer.open_at().unwrap_or(lexer.at());
            problem.report(self.found);
            lexer.resume_after(open);
            return;
        }
        // What looks wrong after a parenthesis that is never closed is most likely the next record.
        match lexer.skip_entry() {
            Some(lost) => lost.report(self.found),
            None => problem.report(self.found),
        }
    }

    /// The owner that a token names.
    pub(super) fn owner_of(&self, token: Token<'_>) -> Result<Name, Problem> {
        if token.quoted || token.mixed {
            return Err(Problem::new(token.span, "a name is written without quotes"));
        }
        Name::parse(token.text, Some(&self.origin)).map_err(|e| Problem::name(token.span, e))
    }

    fn include(&mut self, include: Include, sources: &mut Sources) -> Result<(), Problem> {
        let span = include.file_span;
        let wrong = |why: String| Problem::new(span, why);
        self.includes += 1;
        if self.stack.len() > DEEPEST {
            return Err(wrong(format!(
                "files are included more than {DEEPEST} deep"
            )));
        }
        if self.includes > MOST_INCLUDES {
            return Err(wrong(format!(
                "more than {MOST_INCLUDES} files are included"
            )));
        }
        let found = self.folder.find(&include.file).map_err(wrong)?;
        if self
            .stack
            .iter()
            .any(|frame| frame.real.as_ref() == Some(&found.real))
        {
            return Err(wrong(
                "this file includes itself, here or through others".into(),
            ));
        }
        let file = match self.files.iter().find(|(real, _)| *real == found.real) {
            Some(&(_, file)) => file,
            None => {
                sources.look_at(&found.path);
                let text = read_file(&found.real).map_err(wrong)?;
                let file = sources.add(found.path.display().to_string(), text);
                self.files.push((found.real.clone(), file));
                file
            }
        };
        self.push(file, Some(found.real), sources);
        if let Some(origin) = include.origin {
            self.origin = origin;
        }
        Ok(())
    }

    fn push(&mut self, file: u32, real: Option<PathBuf>, sources: &Sources) {
        // A byte order mark says nothing in UTF-8, and would stick to the first owner's name.
        let mark = sources.text(file).starts_with(b"\xef\xbb\xbf");
        if mark {
            self.found
                .warning(Span::new(file, 0, 3), "a byte order mark is passed over");
        }
        let before = (self.origin.clone(), self.owner.clone(), self.default_ttl);
        self.stack.push(Frame {
            file,
            real,
            at: if mark { 3 } else { 0 },
            before,
        });
    }

    fn pop(&mut self) {
        if let Some(frame) = self.stack.pop() {
            (self.origin, self.owner, self.default_ttl) = frame.before;
        }
    }
}

impl ZoneName {
    fn settle(self, records: &[Record]) -> Name {
        let soa = |r: &Record| {
            matches!(
                r.data,
                Data::Plain {
                    rtype: rtype::SOA,
                    ..
                }
            )
        };
        match self.stated {
            Some(stated) if !records.iter().any(|r| soa(r) && r.owner == self.given) => stated,
            _ => self.given,
        }
    }
}
