//! Markdown as the reference pages need it: headings and tables.

/// The beginning of a page, with a note for who would edit it.
pub(super) fn page(title: &str, about: &str) -> String {
    format!("# {title}\n\n<!-- Written by `netmon manual`; CONTRIBUTING.md says how it is made anew. -->\n\n{about}\n")
}

pub(super) fn heading(out: &mut String, level: usize, title: &str) {
    out.push_str(&format!("\n{} {title}\n", "#".repeat(level)));
}

/// A paragraph, if there is anything to say.
pub(super) fn paragraph(out: &mut String, text: &str) {
    if !text.is_empty() {
        out.push_str(&format!("\n{text}\n"));
    }
}

/// Text as it is, for examples.
pub(super) fn verbatim(out: &mut String, text: &str) {
    if !text.is_empty() {
        out.push_str(&format!("\n```text\n{text}\n```\n"));
    }
}

/// A table, if it has rows.
pub(super) fn table<const N: usize>(out: &mut String, titles: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}{}", row(&titles.map(str::to_owned)), row(&titles.map(|_| "---".to_owned()))));
    rows.iter().for_each(|cells| out.push_str(&row(cells)));
}

/// A word of the program; empty stays empty.
pub(super) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn row<const N: usize>(cells: &[String; N]) -> String {
    cells.iter().fold("|".to_owned(), |mut row, cell| {
        row.push_str(&format!(" {} |", in_cell(cell)));
        row
    }) + "\n"
}

/// A bar would end the cell, a line the row; what looks like a tag would vanish.
fn in_cell(text: &str) -> String {
    let mut out = String::new();
    let mut is_code = false;
    for c in text.chars() {
        is_code ^= c == '`';
        match c {
            '|' => out.push_str("\\|"),
            '\n' => out.push(' '),
            '<' if !is_code => out.push_str("&lt;"),
            '*' if !is_code => out.push_str("\\*"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_what_tables_and_html_would_take_for_theirs() {
        let mut out = String::new();
        table(&mut out, ["a", "b"], &[["`<N|all>`".into(), "x <b> `<c>` *\ny".into()]]);
        assert_eq!(out, "\n| a | b |\n| --- | --- |\n| `<N\\|all>` | x &lt;b> `<c>` \\* y |\n");
    }
}
