//! The reference pages: what is committed is what the program says of itself.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::program::{netmon, run};

#[test]
fn the_committed_pages_are_those_that_the_program_writes() {
    let written = tempfile::tempdir().expect("a directory");
    run(netmon().arg("manual").arg(written.path())).success();
    let pages = pages(&written.path().join("doc/netmon/reference"));
    assert!(pages.len() >= 5, "{:?}", pages.keys());
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&committed).expect("docs can be written to");
        for (name, page) in &pages {
            std::fs::write(committed.join(name), page).expect("the page can be written");
        }
    }
    let committed = self::pages(&committed);
    let names = |pages: &BTreeMap<PathBuf, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&pages), "a page too many, or too few");
    for (name, page) in &pages {
        let differs = page.lines().zip(committed[name].lines()).find(|(now, then)| now != then);
        let what = format!("docs/reference/{} is not what the program says: `make reference`", name.display());
        assert!(
            *page == committed[name],
            "{what}\nthe first line that differs, as it is and as it is committed: {differs:?}"
        );
    }
}

#[test]
fn completions_and_manual_pages_lie_where_shells_and_man_look_for_them() {
    let share = tempfile::tempdir().expect("a directory");
    run(netmon().arg("manual").arg(share.path())).success();
    let bash = std::fs::read(share.path().join("bash-completion/completions/netmon")).expect("it is there");
    assert_eq!(bash, run(netmon().args(["completions", "bash"])).success());
    for (page, title) in [("man1/netmon.1", ".TH NETMON 1"), ("man5/netmon.yaml.5", ".TH NETMON.YAML 5")] {
        let page = std::fs::read_to_string(share.path().join("man").join(page)).expect("it is there");
        assert!(page.contains(title), "{page}");
    }
}

#[test]
fn a_place_that_cannot_be_written_to_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("it can be written");
    let ended = run(netmon().arg("manual").arg(&file));
    assert_eq!(ended.code, Some(1));
    let beginning = format!("netmon: cannot write `{}/man/man1/netmon.1`: ", file.display());
    assert!(ended.stderr.starts_with(&beginning), "{}", ended.stderr);
}

/// What is in a directory, by name.
fn pages(directory: &Path) -> BTreeMap<PathBuf, String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let page = |entry: std::fs::DirEntry| {
        (entry.file_name().into(), std::fs::read_to_string(entry.path()).expect("it is text"))
    };
    entries.map(page).collect()
}
