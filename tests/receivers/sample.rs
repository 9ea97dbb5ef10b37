//! The receivers that the documentation shows are taken.

use netmon::config::from_yaml;

/// The lines of a comment that follow `start`, as YAML.
fn example(text: &str, start: &str) -> String {
    let behind = text.split_once(start).unwrap_or_else(|| panic!("there is no {start}")).1;
    let lines = behind.lines().skip(1).take_while(|line| line.starts_with("# "));
    lines.map(|line| format!("{}\n", &line[2..])).collect()
}

#[test]
fn the_receivers_of_the_sample_and_of_the_readme_are_taken() {
    let sample = include_str!("../../examples/sample-config.yaml");
    let receivers = example(sample, "# Who is told of alerts, up to 10").replace('\t', "");
    let receivers = receivers.split_once("For example:\n").unwrap().1;
    let loaded =
        from_yaml("sample", format!("receivers:\n{receivers}").as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let kinds: Vec<_> = loaded.config.notify.receivers.iter().map(|one| one.receiver.kind.name()).collect();
    assert_eq!(kinds, ["slack", "pagerduty", "alertmanager", "webhook"]);

    let readme = include_str!("../../README.md").split_once("## Receivers").unwrap().1;
    let yaml = readme.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    let loaded = from_yaml("README.md", yaml.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.config.notify.receivers.len(), 4);
}
