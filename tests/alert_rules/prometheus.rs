//! `alerts/prometheus`, run by promtool.

use crate::exported::Exported;
use crate::files::{alerts_of_runbooks, ending, items, project, runbooks, text, yaml};
use crate::rig::tool;
use crate::support::program::run;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use yaml_rust2::Yaml;

const DIRECTORY: &str = "alerts/prometheus";

fn rule_files() -> Vec<PathBuf> {
    ending(DIRECTORY, ".rules.yaml")
}

fn test_files() -> Vec<PathBuf> {
    ending(DIRECTORY, "_test.yaml")
}

/// Every rule of every file.
pub fn rules() -> Vec<Yaml> {
    let groups: Vec<Yaml> = rule_files().iter().flat_map(|path| items(&yaml(path)["groups"]).to_vec()).collect();
    groups.iter().flat_map(|group| items(&group["rules"]).to_vec()).collect()
}

/// Every test of every file.
fn tests() -> Vec<Yaml> {
    test_files().iter().flat_map(|path| items(&yaml(path)["tests"]).to_vec()).collect()
}

/// Runs promtool, which has to end well; nothing where there is none and that is allowed.
fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let Some(promtool) = tool("promtool") else {
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but there is no promtool");
        return eprintln!("skipped: needs promtool; `make setup` gets it");
    };
    let mut command = Command::new(promtool);
    let ended = run(command.args(arguments).args(files).current_dir(project(DIRECTORY)).stdin(Stdio::null()));
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.code, Some(0), "{said}{}", ended.stderr);
}

#[test]
fn promtool_has_nothing_to_say_about_the_rules() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &rule_files());
}

#[test]
fn every_rule_fires_and_resolves_when_its_test_says() {
    promtool(&["test", "rules"], &test_files());
}

#[test]
fn every_rule_says_how_bad_it_is_what_it_means_and_what_to_do() {
    let (runbooks, listed) = (runbooks(), alerts_of_runbooks());
    for rule in rules() {
        let alert = text(&rule["alert"]);
        let severity = text(&rule["labels"]["severity"]);
        assert!(["info", "warning", "critical"].contains(&severity), "{alert}: {severity}");
        let annotations = &rule["annotations"];
        assert!(text(&annotations["summary"]).contains("netmon") || text(&annotations["summary"]).contains("$labels"));
        assert!(text(&annotations["description"]).ends_with('.'), "{alert}");
        let runbook = text(&annotations["runbook_url"]);
        assert!(runbooks.contains(runbook), "{alert}: there is no {runbook}");
        assert!(listed.contains(alert), "{alert} is under no heading of the runbooks");
    }
}

#[test]
fn every_rule_is_tested_to_fire_and_not_to_fire() {
    let expected: Vec<(String, bool)> = tests().iter().flat_map(expectations).collect();
    for rule in rules() {
        let alert = text(&rule["alert"]);
        for fires in [true, false] {
            assert!(expected.contains(&(alert.to_owned(), fires)), "no test in which {alert} fires: {fires}");
        }
    }
}

/// The alerts that a test asks for, and whether each fires.
fn expectations(test: &Yaml) -> Vec<(String, bool)> {
    let fires = |case: &Yaml| case["exp_alerts"].as_vec().is_some_and(|alerts| !alerts.is_empty());
    items(&test["alert_rule_test"]).iter().map(|case| (text(&case["alertname"]).to_owned(), fires(case))).collect()
}

#[test]
fn rules_ask_only_for_families_that_are_exported() {
    let exported = Exported::all();
    for rule in rules() {
        let (alert, expression) = (text(&rule["alert"]), text(&rule["expr"]));
        for name in names(expression) {
            assert!(exported.has_name(name), "{alert} asks for {name}, which netmon does not export");
        }
    }
}

/// The names of netmon's families in an expression.
fn names(expression: &str) -> HashSet<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("netmon_")).collect()
}

#[test]
fn tests_are_fed_with_series_as_netmon_exports_them() {
    let exported = Exported::all();
    for test in tests() {
        for series in items(&test["input_series"]) {
            let series = text(&series["series"]);
            assert!(series.starts_with("up{") || exported.has_series(series), "there is no series such as {series}");
        }
    }
}
