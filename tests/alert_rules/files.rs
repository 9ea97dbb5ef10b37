//! The YAML below `alerts/`, and the runbooks.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use yaml_rust2::{Yaml, YamlLoader};

/// A directory or file of the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of `directory` whose names end so, in order; there have to be some.
pub fn ending(directory: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project(directory)).expect("the directory can be read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.to_str().is_some_and(|text| text.ends_with(end))).collect();
    assert!(!found.is_empty(), "nothing in {directory} ends in {end}");
    found.sort();
    found
}

/// The only document of a file.
pub fn yaml(path: &Path) -> Yaml {
    let text = std::fs::read_to_string(path).expect("the file can be read");
    let mut documents = YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(documents.len(), 1, "{}", path.display());
    documents.remove(0)
}

/// The items of a list, which has to be there.
pub fn items(list: &Yaml) -> &[Yaml] {
    list.as_vec().unwrap_or_else(|| panic!("{list:?} is no list"))
}

/// A text, which has to be there.
pub fn text(value: &Yaml) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value:?} is no text"))
}

/// The places that runbook lines may point at: each heading of `docs/runbooks.md`, as pages of Markdown name it.
pub fn runbooks() -> HashSet<String> {
    let document = std::fs::read_to_string(project("docs/runbooks.md")).expect("the runbooks can be read");
    let headings = document.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(|heading| format!("docs/runbooks.md#{}", heading.to_lowercase().replace(' ', "-"))).collect()
}

/// The names of alerts that `docs/runbooks.md` lists below its headings: lines of nothing else.
pub fn alerts_of_runbooks() -> HashSet<String> {
    let document = std::fs::read_to_string(project("docs/runbooks.md")).expect("the runbooks can be read");
    let is_list = |line: &&str| line.split(", ").all(is_quoted_word);
    let lists = document.lines().filter(is_list);
    lists.flat_map(|line| line.split(", ")).map(|name| name.trim_matches('`').to_owned()).collect()
}

fn is_quoted_word(text: &str) -> bool {
    let word = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    word.is_some_and(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric()))
}
