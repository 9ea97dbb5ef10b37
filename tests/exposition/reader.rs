//! A strict reader of sample lines, written from the format's grammar and sharing nothing with the encoders.

use std::str::Chars;

/// One sample line.
#[derive(Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    /// Sorted by name, values unescaped.
    pub labels: Vec<(String, String)>,
    pub value: f64,
    /// What stands behind ` # `.
    pub exemplar: Option<String>,
}

impl Sample {
    /// Name and labels: what makes a series.
    pub fn series(&self) -> (String, Vec<(String, String)>) {
        (self.name.clone(), self.labels.clone())
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// All sample lines of a page.
///
/// # Panics
/// On anything the grammar does not allow.
pub fn read(page: &str) -> Vec<Sample> {
    assert!(page.ends_with('\n') && !page.contains('\r'), "a page ends with a line feed and has no carriage return");
    page.split_terminator('\n').filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let mut rest = line.chars();
    let name = word(&mut rest);
    let mut labels = Vec::new();
    if rest.as_str().starts_with('{') {
        rest.next();
        loop {
            let label = word(&mut rest);
            assert!(rest.next() == Some('=') && rest.next() == Some('"'), "label without value: {line}");
            labels.push((label, quoted(&mut rest, line)));
            match rest.next() {
                Some(',') => {}
                Some('}') => break,
                other => panic!("{other:?} behind a label: {line}"),
            }
        }
    }
    assert_eq!(rest.next(), Some(' '), "no space before the value: {line}");
    let (value, exemplar) = match rest.as_str().split_once(" # ") {
        Some((value, exemplar)) => (value, Some(exemplar.into())),
        None => (rest.as_str(), None),
    };
    labels.sort();
    Sample { name, labels, value: value.parse().unwrap_or_else(|_| panic!("no number: {line}")), exemplar }
}

fn word(rest: &mut Chars<'_>) -> String {
    let text = rest.as_str();
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let word = &text[..end];
    assert!(word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'), "no name at {text}");
    *rest = text[end..].chars();
    word.into()
}

fn quoted(rest: &mut Chars<'_>, line: &str) -> String {
    let mut value = String::new();
    loop {
        match rest.next() {
            Some('"') => return value,
            Some('\\') => value.push(match rest.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => panic!("{other:?} behind a backslash: {line}"),
            }),
            Some(c) => value.push(c),
            None => panic!("open quote: {line}"),
        }
    }
}
