//! What of the template language is allowed: what cannot make much out of little.
//!
//! Statements that keep a value could double it again and again, multiplication repeats texts; both would fill memory
//! within a few steps, which no count of steps prevents.

use super::TemplateError;

const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// Whether every tag of `source` is allowed. What is no template at all is left to the parser.
pub(super) fn check(source: &str) -> Result<(), TemplateError> {
    let mut at = 0;
    while let Some(start) = source[at..].find('{').map(|found| at + found) {
        let tag = &source[start..];
        at = match tag.as_bytes().get(1) {
            Some(b'#') => tag.find("#}").map_or(source.len(), |end| start + end + 2),
            Some(b'%') => {
                statement(source, start)?;
                expression(source, start)?
            }
            Some(b'{') => expression(source, start)?,
            _ => start + 1,
        };
    }
    Ok(())
}

fn statement(source: &str, start: usize) -> Result<(), TemplateError> {
    let inside = source[start + 2..].trim_start_matches(['-', '+']).trim_start();
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    let name = &inside[..end];
    if name.is_empty() || STATEMENTS.contains(&name) {
        return Ok(());
    }
    let what = format!("`{name}` is not allowed here, only `if`, `elif`, `else` and `for`");
    Err(TemplateError { what, line: line(source, start) })
}

/// Walks over a tag, and over the texts in it; gives where it ends.
fn expression(source: &str, start: usize) -> Result<usize, TemplateError> {
    let (mut quote, mut escaped) = (None, false);
    for (n, byte) in source.bytes().enumerate().skip(start + 2) {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'*') => {
                return Err(TemplateError { what: "`*` is not allowed here".into(), line: line(source, n) });
            }
            // Also the end of a map in braces; what follows is then looked at as text, with its braces.
            (None, b'}') if matches!(source.as_bytes().get(n - 1), Some(b'}' | b'%')) => return Ok(n + 1),
            (None, _) => {}
        }
    }
    Ok(source.len())
}

fn line(source: &str, at: usize) -> usize {
    source[..at].matches('\n').count() + 1
}
