//! The text of a scenario file, cut into items: a line that begins at the margin, and the indented lines below it.

/// A scenario: files, a world, and what happens.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// Where its title stands.
    pub(crate) line: usize,
    pub(crate) title: String,
    /// What all scenarios of its file begin with, then its own: `file`, `world`, `with`.
    pub(crate) setting: Vec<Item>,
    /// What happens, in order.
    pub(crate) steps: Vec<Item>,
}

/// A line at the margin, and those below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) line: usize,
    /// The line, its words one space apart.
    pub(crate) head: String,
    /// The indented lines with their numbers; of a `file` as they are, else as the head.
    pub(crate) block: Vec<(usize, String)>,
}

/// Words that an item of the setting begins with.
const SETTING: [&str; 3] = ["file", "world", "with"];

impl Item {
    /// The head's first word and the rest.
    pub(crate) fn command(&self) -> (&str, &str) {
        self.head.split_once(' ').unwrap_or((&self.head, ""))
    }
}

/// Cuts a file into its scenarios.
pub(crate) fn read(text: &str) -> Result<Vec<Scenario>, (usize, String)> {
    let mut common = Vec::new();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for item in items(text)? {
        let (command, rest) = item.command();
        let setting = SETTING.contains(&command);
        match scenarios.last_mut() {
            _ if command == "scenario" => scenarios.push(Scenario {
                line: item.line,
                title: rest.to_owned(),
                setting: common.clone(),
                steps: Vec::new(),
            }),
            None if setting => common.push(item),
            None => return Err((item.line, "before the first `scenario`".into())),
            Some(scenario) if setting && scenario.steps.is_empty() => scenario.setting.push(item),
            Some(_) if setting => return Err((item.line, "after the first step".into())),
            Some(scenario) => scenario.steps.push(item),
        }
    }
    Ok(scenarios)
}

fn items(text: &str) -> Result<Vec<Item>, (usize, String)> {
    let mut items: Vec<Item> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let whole = items.last().is_some_and(|i| i.head.starts_with("file "));
        if whole && (line.starts_with("    ") || line.is_empty()) {
            let text = line.strip_prefix("    ").unwrap_or("").to_owned();
            items
                .last_mut()
                .expect("there is one")
                .block
                .push((number, text));
            continue;
        }
        let words = plain(line);
        if words.is_empty() {
            continue;
        }
        if !line.starts_with(' ') {
            items.push(Item {
                line: number,
                head: words,
                block: Vec::new(),
            });
        } else if let Some(item) = items.last_mut() {
            item.block.push((number, words));
        } else {
            return Err((number, "an indented line that belongs to nothing".into()));
        }
    }
    Ok(items)
}

/// The words of a line, one space apart, without the comment at its end.
fn plain(line: &str) -> String {
    let words: Vec<&str> = line
        .split_whitespace()
        .take_while(|w| !w.starts_with('#'))
        .collect();
    words.join(" ")
}
