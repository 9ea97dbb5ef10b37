//! A YAML file as a tree of texts, each with its place, under limits.
//!
//! The file is read by the events of the YAML parser, so nothing is built before it was counted, and no recursion
//! follows the nesting of the input. Refused: more than [`MAX_BYTES`], [`MAX_DEPTH`], [`MAX_NODES`] or
//! [`MAX_INDICATORS`]; anchors, aliases and tags (nothing here needs them, and they make small files large); several documents; keys that are no plain text;
//! a key twice; control characters and bytes that are not UTF-8.
//!
//! Scalars stay texts: what `010` or `no` means is for the key to say, so an interface may be called either.

use super::mistake::{Mistake, Place, quoted};
use crate::telemetry::Escaped;
use std::collections::BTreeMap;
use std::sync::Arc;
use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

/// The largest file.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 16;
/// The most keys, values, lists and maps together.
pub const MAX_NODES: usize = 10_000;

/// The most characters with a meaning in YAML (`,`, `:`, `[`, quotes, ...), comments included. The scanner reads a list
/// in brackets to its end before it gives out the first token, so the limit on nodes alone would not bound its memory.
pub const MAX_INDICATORS: usize = 100_000;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Of its key, or of the list item.
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`, not quoted.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Keys),
}

/// The entries of a map.
pub(super) type Keys = BTreeMap<String, Node>;

/// A file that could be read as a whole.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The keys of the top level.
    pub(super) keys: Keys,
    /// Keys that stood there twice; the first one counts.
    pub(super) duplicates: Vec<Mistake>,
}

impl Document {
    /// Reads `bytes` as the file `name`.
    ///
    /// # Errors
    /// The first place where the file breaks the rules above; what is behind it cannot be told.
    pub(super) fn parse(name: &Arc<str>, bytes: &[u8]) -> Result<Self, Mistake> {
        let text = checked_text(name, bytes)?;
        let builder = Builder { name, open: Vec::new(), nodes: 0, duplicates: Vec::new(), root: None };
        builder.read(Parser::new_from_str(text))
    }
}

/// The bytes as text, if they are short enough and can be shown.
fn checked_text<'a>(name: &Arc<str>, bytes: &'a [u8]) -> Result<&'a str, Mistake> {
    if bytes.len() > MAX_BYTES {
        let place = place_of(name, &bytes[..MAX_BYTES]);
        return Err(Mistake::new(place, "the file is larger than 1 MiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Mistake::new(place_of(name, &bytes[..error.valid_up_to()]), "not valid UTF-8")
            .with_hint("save the file as UTF-8; netmon reads no other encoding")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refuse_at = |at: usize, message: String| Err(Mistake::new(place_of(name, &text.as_bytes()[..at]), message));
    let is_forbidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    if let Some((at, control)) = text.char_indices().find(|&(_, c)| is_forbidden(c)) {
        return refuse_at(at, format!("the control character U+{:04X} is not allowed", u32::from(control)));
    }
    if let Some((at, _)) = text.match_indices(INDICATORS).nth(MAX_INDICATORS) {
        return refuse_at(at, format!("more than {MAX_INDICATORS} characters such as `,`, `:` and `[`"));
    }
    Ok(text)
}

/// YAML 1.2 section 5.3, without `-`, which makes no token inside brackets.
const INDICATORS: [char; 18] =
    ['?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`'];

/// The place behind `before`.
fn place_of(name: &Arc<str>, before: &[u8]) -> Place {
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Place::Line { file: Arc::clone(name), line, column, exact: true }
}

/// Builds the tree from events, with the open lists and maps on a stack of its own.
struct Builder<'a> {
    name: &'a Arc<str>,
    open: Vec<Open>,
    nodes: usize,
    duplicates: Vec<Mistake>,
    root: Option<Node>,
}

/// A list or map whose end has not come yet.
struct Open {
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// The entries so far, and the key whose value comes next.
    Map(Keys, Option<(String, Place)>),
}

impl Builder<'_> {
    fn read(mut self, mut parser: Parser<std::str::Chars<'_>>) -> Result<Document, Mistake> {
        let mut documents = 0;
        loop {
            let (event, mark) = parser.next_token().map_err(|error| self.broken(&error))?;
            let place = self.place(mark, true);
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Mistake::new(place, "a second document begins; the file holds one"));
                    }
                }
                Event::Alias(_) => return Err(no_anchors(place)),
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(place, anchor, tag.as_ref())?;
                    self.scalar(text, style, mark);
                }
                Event::SequenceStart(anchor, tag) => {
                    self.count(place, anchor, tag.as_ref())?;
                    self.start(Content::List(Vec::new()), mark)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.count(place, anchor, tag.as_ref())?;
                    self.start(Content::Map(Keys::new(), None), mark)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(),
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            }
        }
        self.document()
    }

    /// Counts one node and refuses what can hang on any of them.
    fn count(&mut self, place: Place, anchor: usize, tag: Option<&Tag>) -> Result<(), Mistake> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Mistake::new(place, format!("more than {MAX_NODES} keys and values")));
        }
        if let Some(tag) = tag {
            let tag = quoted(&format!("{}{}", tag.handle, tag.suffix));
            return Err(Mistake::new(place, format!("the tag {tag} is not allowed; values need no tags here")));
        }
        if anchor == 0 { Ok(()) } else { Err(no_anchors(place)) }
    }

    fn scalar(&mut self, text: String, style: TScalarStyle, mark: Marker) {
        let place = self.place(mark, false);
        if matches!(self.open.last(), Some(Open { content: Content::Map(_, None), .. })) {
            return self.key(text, place);
        }
        let is_null = style == TScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        self.add(if is_null { Value::Null } else { Value::Text(text) }, place);
    }

    fn key(&mut self, key: String, place: Place) {
        let path = self.path(&key);
        let Some(Open { content: Content::Map(entries, next), .. }) = self.open.last_mut() else { return };
        if let Some(Node { place: Place::Line { line, .. }, .. }) = entries.get(&key) {
            let message = format!("is given twice, first on line {line}");
            self.duplicates.push(Mistake::about(place.clone(), &path, message));
        }
        *next = Some((key, place));
    }

    fn start(&mut self, content: Content, mark: Marker) -> Result<(), Mistake> {
        let place = self.place(mark, true);
        if let Some(Open { content: Content::Map(_, None), .. }) = self.open.last() {
            return Err(Mistake::new(place, "a list or map cannot be a key"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Mistake::new(place, format!("lists and maps are nested more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open { place: self.place(mark, false), content });
        Ok(())
    }

    fn end(&mut self) {
        // The parser ends only what it started.
        let Some(Open { place, content }) = self.open.pop() else { return };
        match content {
            Content::List(items) => self.add(Value::List(items), place),
            Content::Map(entries, _) => self.add(Value::Map(entries), place),
        }
    }

    /// Puts a complete value where it belongs: into the open list or map, or at the root.
    fn add(&mut self, value: Value, place: Place) {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(Node { place, value }),
            Some(Content::List(items)) => items.push(Node { place, value }),
            Some(Content::Map(entries, key)) => {
                // `start` and `scalar` let no value come before its key.
                let Some((key, place)) = key.take() else { return };
                entries.entry(key).or_insert(Node { place, value });
            }
        }
    }

    fn document(self) -> Result<Document, Mistake> {
        let keys = match self.root {
            None | Some(Node { value: Value::Null, .. }) => Keys::new(),
            Some(Node { value: Value::Map(keys), .. }) => keys,
            Some(Node { place, .. }) => {
                return Err(Mistake::new(place, "the file holds no keys such as `interfaces:`"));
            }
        };
        Ok(Document { keys, duplicates: self.duplicates })
    }

    fn broken(&self, error: &ScanError) -> Mistake {
        let message = format!("not valid YAML: {}", Escaped(error.info()));
        let mistake = Mistake::new(self.place(*error.marker(), true), message);
        if error.info().contains("anchor") { mistake.with_hint(QUOTES) } else { mistake }
    }

    /// The path of `key` in the open maps and lists.
    fn path(&self, key: &str) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::Map(_, Some((key, _))) => path.extend([key.as_str(), "."]),
                Content::Map(_, None) => path.push_str(key),
                Content::List(items) => {
                    path.truncate(path.trim_end_matches('.').len());
                    path.push_str(&format!("[{}].", items.len()));
                }
            }
        }
        path
    }

    fn place(&self, mark: Marker, exact: bool) -> Place {
        Place::Line { file: Arc::clone(self.name), line: mark.line(), column: mark.col() + 1, exact }
    }
}

fn no_anchors(place: Place) -> Mistake {
    let message = "anchors and aliases (`&name`, `*name`) are not allowed; write the value out";
    Mistake::new(place, message).with_hint(QUOTES)
}

/// `interfaces: [*]` is how most people meet aliases.
const QUOTES: &str = "a text that begins with `*` or `&` needs quotes: \"*\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Document, String> {
        Document::parse(&"f.yaml".into(), bytes).map_err(|mistake| mistake.to_string())
    }

    fn refusal(bytes: &[u8]) -> String {
        parse(bytes).map(|document| format!("{document:?}")).unwrap_err()
    }

    #[test]
    fn scalars_stay_texts_and_know_their_line() {
        let document = parse(b"# c\na: 010\nb:\n  - no\n  - \"~\"\nc: ~\n").unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|key| &document.keys[key]);
        assert_eq!(a.value, Value::Text("010".into()));
        assert!(matches!(a.place, Place::Line { line: 2, column: 1, .. }));
        let Value::List(items) = &b.value else { panic!("{b:?}") };
        assert_eq!(items[0].value, Value::Text("no".into()));
        assert_eq!(items[1].value, Value::Text("~".into()));
        assert!(matches!(items[1].place, Place::Line { line: 5, .. }));
        assert_eq!(c.value, Value::Null);
    }

    #[test]
    fn nothing_at_all_is_an_empty_document() {
        for bytes in [&b""[..], b"# only a comment\n", b"---\n", b"\xef\xbb\xbf", b"~\n...\n"] {
            assert!(parse(bytes).unwrap().keys.is_empty());
        }
    }

    #[test]
    fn nesting_is_cut_at_the_limit_whatever_its_form() {
        for (open, count) in [("[", 100_000), ("- ", 100_000), ("{a: ", 50_000), ("? ", 100_000), ("[{", 50_000)] {
            let message = refusal(open.repeat(count).as_bytes());
            assert!(message.starts_with("config `f.yaml:1:"), "{message}");
        }
        assert!(refusal(&b"[".repeat(17)).contains("more than 16 deep"));
        let deepest = format!("a: {}{}", "[".repeat(15), "]".repeat(15));
        assert!(parse(deepest.as_bytes()).is_ok());
    }

    #[test]
    fn aliases_are_refused_before_anything_is_expanded() {
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for n in 1..9 {
            bomb += &format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1);
        }
        assert!(refusal(bomb.as_bytes()).starts_with("config `f.yaml:1:"));
        assert!(refusal(b"a: &a [*a]").contains("anchors and aliases"));
    }

    #[test]
    fn what_the_scanner_would_hold_at_once_is_refused_before_it_reads() {
        for token in [",", "a,", ":,", "{}", "*a ", "'' ", "? "] {
            let message = refusal(format!("[{}", token.repeat(200_000)).as_bytes());
            assert!(message.ends_with("more than 100000 characters such as `,`, `:` and `[`"), "{token}: {message}");
        }
    }

    #[test]
    fn many_keys_and_large_files_are_refused_with_the_place() {
        let many: String = (0..50_000).map(|n| format!("k{n}: 1\n")).collect();
        assert_eq!(refusal(many.as_bytes()), "config `f.yaml:5000:8`: more than 10000 keys and values");
        let large = format!("a: 1\nb: {}", "x".repeat(MAX_BYTES));
        assert_eq!(refusal(large.as_bytes()), "config `f.yaml:2:1048572`: the file is larger than 1 MiB");
    }
}
