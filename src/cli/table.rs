//! Tables of at most 100 columns.

use std::iter::once;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest a table gets.
const WIDTH: usize = 100;
/// Between two columns.
const GAP: usize = 2;
/// Columns are not made narrower than that.
const LEAST: usize = 6;

/// A table with a head line; long cells are wrapped. A thousand nodes are ready in a millisecond or two: `health` has no more.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|h| h.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let mut widths = vec![0; head.len()];
    for cells in once(&head).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            let lines = cell.lines().map(UnicodeWidthStr::width);
            *width = lines.max().unwrap_or(0).max(*width);
        }
    }
    narrow(&mut widths);
    let mut text = String::with_capacity((rows.len() + 1) * WIDTH);
    for cells in once(&head).chain(&rows) {
        write(&mut text, cells, &widths);
    }
    text
}

/// Takes from the widest columns what is too much.
fn narrow(widths: &mut [usize]) {
    let most = WIDTH.saturating_sub(GAP * widths.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > most {
        match widths.iter_mut().max_by_key(|width| **width) {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => return,
        }
    }
}

/// One row, of as many lines as its longest cell needs.
fn write(text: &mut String, cells: &[String], widths: &[usize]) {
    let fits = |(cell, width): (&String, &usize)| cell.width() <= *width && !cell.contains('\n');
    if cells.iter().zip(widths).all(fits) {
        return line(text, cells.iter().map(String::as_str), widths);
    }
    let wrapped = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrap(cell, *width));
    let wrapped: Vec<Vec<&str>> = wrapped.collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..height {
        let part = |lines: &Vec<&'_ str>| lines.get(number).map_or("", |part| *part).to_owned();
        let parts: Vec<String> = wrapped.iter().map(part).collect();
        line(text, parts.iter().map(String::as_str), widths);
    }
}

fn line<'c>(text: &mut String, parts: impl Iterator<Item = &'c str>, widths: &[usize]) {
    for (part, width) in parts.zip(widths) {
        text.push_str(part);
        let rest = (width + GAP).saturating_sub(part.width());
        text.extend(std::iter::repeat_n(' ', rest));
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// The lines of a cell: broken at spaces, and within words only where one is too long.
fn wrap(cell: &str, most: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    for mut rest in cell.lines() {
        while rest.width() > most {
            let (mut width, mut end, mut space) = (0, 0, None);
            for (at, letter) in rest.char_indices() {
                width += letter.width().unwrap_or(0);
                if letter == ' ' && at > 0 {
                    space = Some(at);
                }
                if width > most {
                    break;
                }
                end = at + letter.len_utf8();
            }
            // One letter at least, however wide.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let (line, next) = rest.split_at(space.unwrap_or(end).max(first));
            lines.push(line.trim_end());
            rest = next.trim_start();
        }
        lines.push(rest);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
        let cell = "[a-zäß東 ]{0,40}( [a-z]{1,70}){0,6}";
        prop::collection::vec(prop::collection::vec(cell, 4), 1..6)
    }

    proptest! {
        #[test]
        fn no_table_is_too_wide_and_nothing_is_lost(rows in rows()) {
            let text = table(&["one", "two", "three", "four"], rows.clone());
            prop_assert!(text.lines().all(|line| line.width() <= WIDTH), "{}", text);
            let letters = |text: &str| {
                let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
                letters.sort_unstable();
                letters
            };
            let all: String = rows.concat().concat() + "ONETWOTHREEFOUR";
            prop_assert_eq!(letters(&text), letters(&all));
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = table(
            &["node", "near", "last error"],
            [row(["n", "東京", "-"]), row(["long", "", "timeout"])],
        );
        assert_eq!(
            text,
            "NODE  NEAR  LAST ERROR\nn     東京  -\nlong        timeout\n"
        );
    }

    #[test]
    fn cells_are_broken_at_spaces() {
        assert_eq!(
            wrap("it does not answer in time", 11),
            ["it does not", "answer in", "time"]
        );
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("two\nlines", 8), ["two", "lines"]);
    }
}
