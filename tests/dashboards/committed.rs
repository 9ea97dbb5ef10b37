//! The committed files: made by the code, in the form that Grafana reads, with queries that Prometheus parses.

use crate::boards;
use crate::documents::{Choices, asked, dashboards, project};
use crate::rig::tool;
use crate::support::program::run;
use netmon::metrics::families;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Families that are on no dashboard because another one that is says more.
const SAID_BY_ANOTHER: [(&str, &str); 4] = [
    ("process_virtual_memory_max_bytes", "absent unless somebody limits the address space"),
    ("process_start_time_seconds", "netmon_start_time_seconds"),
    ("netmon_interface_receive_packets_per_second", "the rate of its counter, and its peak"),
    ("netmon_interface_transmit_packets_per_second", "the rate of its counter, and its peak"),
];

/// What Grafana 12 has, without what it calls deprecated.
const PANELS: [&str; 7] = ["bargauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"];

#[test]
fn the_committed_dashboards_are_those_that_the_catalogue_makes() {
    let made = boards::all();
    assert_eq!(dashboards().len(), made.len());
    for board in made {
        let path = project(boards::DIRECTORY).join(board.file());
        let committed = std::fs::read_to_string(&path).expect("it was committed");
        assert!(committed == board.document(), "{}: run `cargo run --example dashboards`", path.display());
    }
}

#[test]
fn every_family_is_on_a_dashboard_or_said_by_another() {
    let excused: HashSet<&str> = SAID_BY_ANOTHER.iter().map(|(name, _)| *name).collect();
    assert_eq!(boards::not_shown().into_iter().collect::<HashSet<_>>(), excused);
}

#[test]
fn every_query_names_only_families_that_exist() {
    let mut known: HashSet<&str> = families().map(|family| family.name).collect();
    known.extend(["up", "ALERTS"]);
    for asked in asked() {
        let (selectors, _) = asked.written.rsplit_once('{').expect("a query has a selector");
        let named: Vec<&str> = selectors.split('{').filter_map(name_before).collect();
        assert!(!named.is_empty(), "{}", asked.written);
        for name in named {
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
            assert!(known.contains(name) || known.contains(family.unwrap_or(name)), "{} asks for {name}", asked.panel);
        }
    }
}

/// The name of a metric that a text ends with.
fn name_before(text: &str) -> Option<&str> {
    text.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

#[test]
fn dashboards_have_names_links_variables_and_panels_of_now() {
    let boards = dashboards();
    let uids: HashSet<&str> = boards.iter().map(|board| text(&board["uid"])).collect();
    assert_eq!(uids.len(), boards.len(), "no two are called alike");
    for board in &boards {
        let uid = text(&board["uid"]);
        assert!(uid.len() <= 40 && board.get("id").is_none() && board["editable"] == true, "{uid}");
        assert_eq!(board["tags"], serde_json::json!(["netmon"]), "{uid} is found by its links");
        let names: Vec<&str> =
            list(&board["templating"]["list"]).iter().map(|variable| text(&variable["name"])).collect();
        assert_eq!(names, ["datasource", "job", "instance", "interface"], "{uid}");
        for panel in list(&board["panels"]) {
            check_panel(uid, panel);
            let links = panel["fieldConfig"]["defaults"]["links"].as_array().into_iter().flatten();
            let target = |link| text(link).strip_prefix("/d/").and_then(|rest| rest.split('?').next());
            assert!(
                links.map(|link| target(&link["url"])).all(|uid| uids.contains(uid.expect("a link to a dashboard")))
            );
        }
        assert_no_overlap(uid, list(&board["panels"]));
    }
}

fn check_panel(uid: &str, panel: &Value) {
    let (kind, title) = (text(&panel["type"]), text(&panel["title"]));
    assert!(PANELS.contains(&kind), "{uid}: {title} is a {kind}");
    if kind == "row" {
        return;
    }
    assert!(text(&panel["description"]).contains("- `"), "{uid}: {title} says what it shows");
    assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{uid}: {title} has a unit");
    assert_eq!(panel["datasource"]["uid"], "${datasource}", "{uid}: {title}");
    for target in list(&panel["targets"]) {
        assert!(kind == "table" || !text(&target["legendFormat"]).is_empty(), "{uid}: {title} has a legend");
    }
}

fn assert_no_overlap(uid: &str, panels: &[Value]) {
    let mut taken = HashSet::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().expect("a panel has a place");
        assert!(place("x") + place("w") <= 24, "{uid}: {} sticks out", panel["title"]);
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{uid}: {} lies on another", panel["title"]);
            }
        }
    }
}

#[test]
fn promtool_parses_every_query_for_one_and_for_many_hosts() {
    let one = Choices { job: "netmon", instance: "a:8080", interface: "eth0", range: 3600, step: 15, scrape: 15 };
    let many =
        Choices { job: "(netmon|probes)", instance: r"(a:8080|b\\.example:8080)", interface: "(eth0|eth1)", ..one };
    let mut rules = String::from("groups:\n  - name: queries\n    rules:\n");
    for (n, asked) in asked().iter().enumerate() {
        for (way, choices) in [&one, &many].into_iter().enumerate() {
            let expression = serde_json::to_string(&choices.fill(&asked.written)).expect("text is JSON");
            rules += &format!("      - {{ record: \"query:{n}:{way}\", expr: {expression} }}\n");
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("queries.yaml");
    std::fs::write(&file, rules).expect("the directory can be written to");
    promtool(&["check", "rules"], &file);
}

#[test]
fn promtool_has_nothing_to_say_about_the_configuration_and_the_recording_rules() {
    let directory = tempfile::tempdir().expect("a directory");
    lay_out_prometheus(directory.path());
    promtool(&["check", "config"], &directory.path().join("prometheus.yml"));
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &project("docker/prometheus/rules/netmon.rules.yaml"));
    promtool(&["test", "rules"], &project("docker/prometheus/rules_test.yaml"));
}

/// The files as a container sees them: the configuration and, beside it, both kinds of rules.
pub fn lay_out_prometheus(directory: &Path) {
    for (from, to) in [
        ("docker/prometheus/prometheus.yml", "prometheus.yml"),
        ("docker/prometheus/rules", "rules"),
        ("alerts/prometheus", "alerts"),
    ] {
        std::os::unix::fs::symlink(project(from), directory.join(to)).expect("a link");
    }
}

#[test]
fn recording_rules_ask_only_for_what_exists_and_are_all_tested() {
    let known: HashSet<&str> = families().map(|family| family.name).collect();
    let text = std::fs::read_to_string(project("docker/prometheus/rules/netmon.rules.yaml")).expect("the rules");
    let tests = std::fs::read_to_string(project("docker/prometheus/rules_test.yaml")).expect("the tests");
    let recorded: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    assert!(!recorded.is_empty());
    for name in &recorded {
        assert!(
            tests.contains(&format!("expr: {name}")) || tests.contains(&format!("round({name},")),
            "{name} is not tested"
        );
    }
    let words = text
        .lines()
        .filter(|line| !line.trim().starts_with('#'))
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && !"_:".contains(c)).collect::<Vec<_>>());
    for word in words.filter(|word| word.starts_with("netmon_")) {
        let family = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(known.contains(family), "there is no {word}");
    }
}

#[test]
fn promtool_takes_every_recipe() {
    let document = std::fs::read_to_string(project("docs/prometheus.md")).expect("the recipes can be read");
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: String, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).expect("the directory can be written to");
        file
    };
    let (configurations, queries) = (blocks(&document, "yaml"), blocks(&document, "promql"));
    assert!(configurations.len() > 5 && queries.len() > 1);
    for (n, block) in configurations.iter().enumerate() {
        promtool(&["check", "config", "--syntax-only"], &write(format!("{n}.yaml"), block));
    }
    for (n, block) in queries.iter().enumerate() {
        let query = serde_json::to_string(block).expect("text is JSON");
        let rules = format!("groups: [{{ name: recipes, rules: [{{ record: \"recipe\", expr: {query} }}] }}]");
        promtool(&["check", "rules"], &write(format!("{n}.rules.yaml"), &rules));
    }
}

/// The blocks of code in a language.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let fence = format!("```{language}\n");
    document.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn promtool(arguments: &[&str], file: &Path) {
    let Some(promtool) = tool("promtool") else {
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but there is no promtool");
        return eprintln!("skipped: needs promtool; `make setup` gets it");
    };
    let ended = run(Command::new(promtool).args(arguments).arg(file).stdin(Stdio::null()));
    assert_eq!(ended.code, Some(0), "{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
}

#[test]
fn alertmanager_takes_its_configuration() {
    let Some(amtool) = tool("amtool") else {
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but there is no amtool");
        return eprintln!("skipped: needs amtool; `make setup` gets it");
    };
    let file = project("docker/alertmanager/alertmanager.yml");
    let ended = run(Command::new(amtool).arg("check-config").arg(file).stdin(Stdio::null()));
    assert_eq!(ended.code, Some(0), "{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
}

#[test]
fn grafana_is_told_where_the_data_and_the_dashboards_are() {
    let read = |path: &str| {
        let text = std::fs::read_to_string(project(path)).expect("it is there");
        yaml_rust2::YamlLoader::load_from_str(&text).expect("it is YAML").remove(0)
    };
    let sources = read("docker/grafana/provisioning/datasources/prometheus.yaml");
    let source = &sources["datasources"][0];
    assert_eq!((source["type"].as_str(), source["url"].as_str()), (Some("prometheus"), Some("http://prometheus:9090")));
    let prometheus = read("docker/prometheus/prometheus.yml");
    let interval = prometheus["global"]["scrape_interval"].as_str();
    assert_eq!(source["jsonData"]["timeInterval"].as_str(), interval, "windows of rates follow the scrapes");
    let providers = read("docker/grafana/provisioning/dashboards/netmon.yaml");
    assert_eq!(providers["providers"][0]["type"].as_str(), Some("file"));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
