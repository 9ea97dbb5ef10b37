//! The config as its users meet it: the sample, one small file for each kind of mistake, layers, limits.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use netmon::capture;
use netmon::config::{
    Config, File, Finding, Loaded, MAX_BYTES, Mistakes, NO_CHECKS, Override, from_yaml, load_with, schema,
};
use netmon::http::Bind;
use netmon::privilege::UserName;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SAMPLE: &str = include_str!("../examples/sample-config.yaml");

#[test]
fn the_sample_is_exactly_the_defaults() {
    let loaded = from_yaml("sample-config.yaml", SAMPLE.as_bytes()).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.effective, File::default());
}

#[test]
fn the_sample_shows_every_key_and_says_why() {
    let (shown, unexplained) = keys_of_the_sample();
    let known: BTreeSet<String> = leaves(&serde_json::to_value(File::default()).unwrap(), "").into_iter().collect();
    assert_eq!(shown, known);
    assert_eq!(unexplained, Vec::<String>::new(), "keys without a comment above them");
}

#[test]
fn the_sample_is_valid_by_the_schema() {
    let effective = from_yaml("sample-config.yaml", SAMPLE.as_bytes()).unwrap().effective;
    let problems = validate(&serde_json::to_value(effective).unwrap(), schema().as_value(), "");
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_schema_describes_every_key_with_its_default() {
    let known = serde_json::to_value(File::default()).unwrap();
    assert_described(&known, schema().as_value(), "");
}

#[test]
fn the_schema_refuses_what_is_out_of_bounds_or_unknown() {
    for bad in [
        serde_json::json!({"capture": {"snaplen": 63}}),
        serde_json::json!({"capture": {"backend": "dpdk"}}),
        serde_json::json!({"captures": {}}),
        serde_json::json!({"aggregation": {"windows": [1, 2, 3, 4, 5, 6, 7]}}),
        serde_json::json!({"flows": {"timeouts": {"udp": 0}}}),
        serde_json::json!({"aggregation": {"ports": [0]}}),
    ] {
        assert!(!validate(&bad, schema().as_value(), "").is_empty(), "{bad}");
    }
}

#[test]
fn each_bad_file_gives_exactly_its_message() {
    let mut cases = 0;
    for path in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = std::fs::read_to_string(path.with_extension("expected")).expect(&name);
        let found = from_yaml(&name, &std::fs::read(&path).unwrap()).map(|loaded| loaded.config);
        assert_eq!(found.unwrap_err().to_string(), expected.trim_end(), "{name}");
        cases += 1;
    }
    assert!(cases >= 40, "{cases}");
}

#[test]
fn later_layers_stand_over_earlier_ones_key_by_key() {
    let file = "capture: {snaplen: 100, promiscuous: false}\napi: {bind: \"127.0.0.1:1\"}\nflows: {max: 2048}\n";
    let environment = [("NETMON_CAPTURE__SNAPLEN", "200"), ("NETMON_API__BIND", "127.0.0.1:2,unix:/run/n.sock")];
    let flags = [flag("--bind", "api.bind", &["127.0.0.1:3"])];
    let loaded = load_text(file, &environment, &flags).unwrap();
    assert_eq!(
        loaded.config.capture,
        capture::Config { snaplen: 200, promiscuous: false, ..capture::Config::default() }
    );
    assert_eq!(loaded.config.api.bind, [Bind::Tcp(([127, 0, 0, 1], 3).into())]);
    assert_eq!(loaded.config.flows.max, 2048);

    let without_flags = load_text(file, &environment, &[]).unwrap().config;
    let expected = [Bind::Tcp(([127, 0, 0, 1], 2).into()), Bind::Unix("/run/n.sock".into())];
    assert_eq!(without_flags.api.bind, expected);
}

#[test]
fn lists_are_replaced_not_appended() {
    let environment = [("NETMON_INTERFACES", "eth2, !lo")];
    let loaded = load_text("interfaces: [eth0, eth1, eth3]\n", &environment, &[]).unwrap();
    assert_eq!(loaded.config.interfaces, ["eth2", "!lo"]);
}

#[test]
fn an_empty_variable_or_key_is_as_good_as_not_there() {
    let file = "capture:\n  snaplen: 100\n  buffer:\naggregation:\n";
    let loaded = load_text(file, &[("NETMON_CAPTURE__SNAPLEN", ""), ("NETMON_INTERFACES", "")], &[]).unwrap();
    let expected = capture::Config { snaplen: 100, ..capture::Config::default() };
    assert_eq!(loaded.config, Config { capture: expected, ..Config::default() });
}

#[test]
fn an_address_class_can_be_set_by_a_variable() {
    let environment = [("NETMON_ADDRESS_CLASSES__OFFICE", "10.0.0.0/8,fd00::/8")];
    let classes = load_text("address_classes: {servers: 192.0.2.0/24}\n", &environment, &[]).unwrap().config;
    let names: Vec<_> =
        classes.aggregation.classes.iter().map(|class| (class.name.as_str(), class.prefixes.len())).collect();
    assert_eq!(names, [("office", 2), ("servers", 1)]);
}

#[test]
fn variables_and_flags_are_named_in_their_mistakes() {
    let environment =
        [("NETMON_CAPTURE__SNAPLEN", "1"), ("NETMON_CAPTURE__SNAPLAN", "64"), ("NETMON_INTERFACES", "a,,b")];
    let flags = [flag("--bind", "api.bind", &["nowhere"])];
    let mistakes = load_text("flows: {max: 5}\n", &environment, &flags).unwrap_err();
    let lines: Vec<_> = mistakes.listed.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "config `netmon.yaml:1`: `flows.max` is 5, allowed 1024 to 67108864 (default 2097152)",
            "environment `NETMON_CAPTURE__SNAPLAN`: unknown key `capture.snaplan`, did you mean `NETMON_CAPTURE__SNAPLEN`?",
            "environment `NETMON_CAPTURE__SNAPLEN`: `capture.snaplen` is 1 B, allowed 64 B to 256 KiB (default 512 B)",
            "environment `NETMON_INTERFACES`: `interfaces[1]` is empty, allowed a name, a glob (\"veth*\"), \"!name\" to \
             exclude, or \"any\"",
            "flag `--bind`: `api.bind[0]` is `nowhere`, allowed `ADDRESS:PORT`, `[IPv6]:PORT`, `:PORT`, or `unix:` and \
             an absolute path of at most 103 B",
        ]
    );
}

#[test]
fn findings_of_other_rooms_stand_beside_the_mistakes_with_their_place() {
    let file = empty_file();
    std::fs::write(&file.path, "capture:\n  bpf: tcp prot 443\n  snaplen: 1\n").unwrap();
    let refuse = |config: &Config| {
        let message = format!("filter `{}` does not compile", config.capture.bpf.as_deref().unwrap());
        vec![Finding { key: "capture.bpf".into(), message, hint: None }]
    };
    let mistakes = load_with(Some(&file.path), [], &[], &refuse).unwrap_err();
    let lines: Vec<_> = mistakes.listed.iter().map(ToString::to_string).collect();
    assert!(lines[0].ends_with("netmon.yaml:2`: filter `tcp prot 443` does not compile"), "{lines:?}");
    assert!(lines[1].contains("netmon.yaml:3`: `capture.snaplen` is 1 B"), "{lines:?}");
}

#[test]
fn variables_that_kubernetes_makes_up_are_ignored_and_others_are_not() {
    let made_up = [("NETMON_PORT", "tcp://10.0.0.1:8080"), ("NETMON_PORT_8080_TCP", "x"), ("NETMON_SERVICE_HOST", "x")];
    assert!(load_text("", &made_up, &[]).is_ok());
    let message = load_text("", &[("NETMON_API_SERVICE_HOST", "10.0.0.1")], &[]).unwrap_err().to_string();
    assert!(message.starts_with("environment `NETMON_API_SERVICE_HOST`: unknown key `api_service_host`"), "{message}");
    assert!(message.contains("hint: Kubernetes"), "{message}");
    assert!(load_text("", &[("NETMONITOR", "x"), ("PATH", "/bin")], &[]).is_ok());
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let environment = [("NETMON_CAPTURE__BPF".into(), OsString::from_vec(vec![b'a', 0xff]))];
    let message = load_with(Some(&empty_file().path), environment, &[], NO_CHECKS).unwrap_err().to_string();
    assert_eq!(message, "environment `NETMON_CAPTURE__BPF`: `capture.bpf` is not valid UTF-8");
}

#[test]
fn a_variable_with_a_deep_name_is_an_unknown_key() {
    let name = format!("NETMON_{}", "A__".repeat(100_000));
    let message = load_text("", &[(&name, "x")], &[]).unwrap_err().listed[0].message.clone();
    assert!(message.starts_with("unknown key `a`, allowed "), "{message}");
}

#[test]
fn texts_that_look_like_numbers_or_booleans_stay_texts() {
    let loaded = from_yaml("f.yaml", b"interfaces: [010, 1e3, no, 0x1f, \"~\", 'null']\n").unwrap();
    assert_eq!(loaded.config.interfaces, ["010", "1e3", "no", "0x1f", "~", "null"]);
    for text in ["true", "yes", "On", "\"true\""] {
        let yaml = format!("aggregation: {{continuous_rtt: {text}}}");
        assert!(from_yaml("f.yaml", yaml.as_bytes()).unwrap().config.flows.continuous_rtt, "{text}");
    }
}

#[test]
fn a_value_alone_is_a_list_of_one() {
    let config =
        from_yaml("f.yaml", b"interfaces: eth0\napi: {bind: ':9090'}\naggregation: {windows: 5s}\n").unwrap().config;
    assert_eq!(config.interfaces, ["eth0"]);
    assert_eq!(config.api.bind, [Bind::Tcp("[::]:9090".parse().unwrap())]);
    assert_eq!(config.aggregation.windows, [Duration::from_secs(5)]);
}

#[test]
fn a_user_is_a_name_or_numbers_or_nobody_in_particular() {
    let user = |text: &str| from_yaml("f.yaml", format!("privileges: {{user: {text}}}\n").as_bytes());
    let parsed = |text| user(text).unwrap().config.privileges.user;
    assert_eq!(parsed("netmon"), Some(UserName::Name("netmon".into())));
    assert_eq!(parsed("1000"), Some(UserName::Ids { uid: 1000, gid: None }));
    assert_eq!(parsed("\"1000:4294967294\""), Some(UserName::Ids { uid: 1000, gid: Some(4_294_967_294) }));
    assert_eq!(parsed("''"), None);
    for bad in ["0", "0:5", "5:0", "root", "4294967295", "-1", "1:", ":1", "a:b", "a/b", "'a b'", "01"] {
        assert!(user(bad).is_err(), "{bad}");
    }
}

#[test]
fn windows_are_sorted() {
    let config = from_yaml("f.yaml", b"aggregation: {windows: [1min, 1, 10s]}\n").unwrap().config;
    assert_eq!(config.aggregation.windows, [1, 10, 60].map(Duration::from_secs));
}

#[test]
fn what_is_in_force_reads_back_as_itself() {
    let yaml = "interfaces: [eth0]\ncapture: {bpf: tcp, buffer: 1.5MiB}\nflows: {timeouts: {active: 1h30m, udp: 90}}\n\
                aggregation: {windows: [2, 7]}\naddress_classes: {a: 10.0.0.0/8}\napi: {bind: ['unix:/a', '[::1]:1']}\n\
                telemetry: {level: 'warn,netmon=debug', format: json}\n\
                alerts: [{name: A, metric: bytes_per_second, where: {interface: eth*}, window: 7s, above: 8Mbit/s,\
                labels: {team: net}, for: 5, notify: ops}]\nalerting: {blind: {loss: 2.5%, severity: critical}}\n\
                receivers: [{name: ops, slack: {url_env: SLACK, title: a}, group_by: [alertname, interface], queue: 9}]\n";
    let loaded = from_yaml("f.yaml", yaml.as_bytes()).unwrap();
    let shown = serde_json::to_string(&loaded.effective).unwrap();
    let again = from_yaml("shown.yaml", shown.as_bytes()).unwrap();
    assert_eq!((again.config, &again.effective), (loaded.config, &loaded.effective));
    assert_eq!(
        validate(&serde_json::to_value(&loaded.effective).unwrap(), schema().as_value(), ""),
        Vec::<String>::new()
    );
}

#[test]
fn hostile_names_are_escaped_in_messages() {
    let message = from_yaml("a\n\u{1b}b.yaml", "\"x\\e[2J\\u202e\": 1\n".as_bytes()).unwrap_err().to_string();
    assert!(message.starts_with(r"config `a\n\u{1b}b.yaml:1`: unknown key `x\u{1b}[2J\u{202e}`"), "{message}");
}

#[test]
fn only_the_first_hundred_mistakes_are_listed() {
    let yaml: String = (0..150).map(|n| format!("key{n:03}: 1\n")).collect();
    let mistakes = from_yaml("f.yaml", yaml.as_bytes()).unwrap_err();
    assert_eq!((mistakes.listed.len(), mistakes.omitted), (100, 50));
    assert!(mistakes.to_string().ends_with("and 50 more mistakes"));
}

#[test]
fn bad_values_in_great_number_are_reported_up_to_the_limit() {
    let items = vec!["999.0.0.0/8"; 256].join(", ");
    let mistakes = from_yaml("f.yaml", format!("local_networks: [{items}]\n").as_bytes()).unwrap_err();
    assert_eq!(mistakes.listed.len(), Mistakes::MAX_LISTED);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.yaml");
    let message = load_with(Some(&missing), [], &[], NO_CHECKS).unwrap_err().to_string();
    assert!(message.starts_with("config `") && message.contains("missing.yaml`: cannot be read: "), "{message}");
    let message = load_with(Some(folder.path()), [], &[], NO_CHECKS).unwrap_err().to_string();
    assert!(message.ends_with("cannot be read: not a regular file"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_fifo_or_an_endless_file_does_not_hold_the_start_up() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo.yaml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [fifo.as_path(), Path::new("/dev/zero")] {
        let message = load_with(Some(path), [], &[], NO_CHECKS).unwrap_err().to_string();
        assert!(message.ends_with("cannot be read: not a regular file"), "{message}");
    }
}

#[test]
fn a_sparse_file_of_a_gibibyte_is_refused_without_reading_it() {
    let sparse = empty_file();
    std::fs::OpenOptions::new().write(true).open(&sparse.path).unwrap().set_len(1 << 30).unwrap();
    let message = load_with(Some(&sparse.path), [], &[], NO_CHECKS).unwrap_err().to_string();
    assert!(
        message.ends_with(&format!("netmon.yaml:1:{}`: the file is larger than 1 MiB", MAX_BYTES + 1)),
        "{message}"
    );
}

fn flag(flag: &str, key: &str, values: &[&str]) -> Override {
    Override { flag: flag.into(), key: key.into(), values: values.iter().map(|value| (*value).into()).collect() }
}

/// A file `netmon.yaml` in a folder of its own, removed with this value.
struct TemporaryFile {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn empty_file() -> TemporaryFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netmon.yaml");
    std::fs::write(&path, "").unwrap();
    TemporaryFile { path, _folder: folder }
}

/// Loads all layers; the file is called `netmon.yaml` in messages.
fn load_text(yaml: &str, environment: &[(&str, &str)], flags: &[Override]) -> Result<Loaded, Mistakes> {
    let file = empty_file();
    std::fs::write(&file.path, yaml).unwrap();
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load_with(Some(&file.path), environment, flags, NO_CHECKS).map_err(|mut mistakes| {
        for mistake in &mut mistakes.listed {
            if let netmon::config::Place::Line { file, .. } = &mut mistake.place {
                *file = "netmon.yaml".into();
            }
        }
        mistakes
    })
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

/// The paths of the keys in the text of the sample, by their indentation, and those without a comment above.
fn keys_of_the_sample() -> (BTreeSet<String>, Vec<String>) {
    let (mut stack, mut shown, mut unexplained): (Vec<&str>, _, _) = (Vec::new(), BTreeSet::new(), Vec::new());
    let lines: Vec<&str> = SAMPLE.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.trim_start().split_once(':').filter(|(key, _)| !key.starts_with('#')) else {
            continue;
        };
        stack.truncate((line.len() - line.trim_start().len()) / 2);
        stack.push(key);
        let path = stack.join(".");
        let is_section = value.is_empty();
        if !is_section {
            shown.insert(path.clone());
            if !lines[n - 1].trim_start().starts_with("# ") {
                unexplained.push(path);
            }
        }
    }
    (shown, unexplained)
}

/// The paths of all values; an empty map is one.
fn leaves(value: &Json, path: &str) -> Vec<String> {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => map.iter().flat_map(|(key, below)| leaves(below, &format!("{path}.{key}"))).collect(),
        None => vec![path.trim_start_matches('.').to_owned()],
    }
}

fn assert_described(known: &Json, schema: &Json, path: &str) {
    assert!(schema["description"].is_string(), "`{path}` has no description");
    let Some(map) = known.as_object() else { return assert_eq!(&schema["default"], known, "default of `{path}`") };
    for (key, below) in map {
        assert_described(below, &schema["properties"][key], &format!("{path}.{key}"));
    }
}

/// What the parts of JSON Schema that netmon uses, patterns aside, find wrong with `value`.
fn validate(value: &Json, schema: &Json, path: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let types: Vec<&str> = match &schema["type"] {
        Json::String(only) => vec![only],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| has_type(value, name)) {
        problems.push(format!("{path}: {value} is none of {types:?}"));
    }
    let is_outside = |number: f64| {
        schema["minimum"].as_f64().is_some_and(|least| number < least)
            || schema["maximum"].as_f64().is_some_and(|most| number > most)
    };
    if value.as_f64().is_some_and(is_outside) {
        problems.push(format!("{path}: {value} is out of bounds"));
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        problems.push(format!("{path}: {value} is not allowed"));
    }
    if let Some(choices) = schema["anyOf"].as_array()
        && !choices.iter().any(|choice| validate(value, choice, path).is_empty())
    {
        problems.push(format!("{path}: {value} fits no choice"));
    }
    for (key, below) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let free = schema["patternProperties"].as_object().and_then(|patterns| patterns.values().next());
        let any = schema.get("additionalProperties").filter(|any| any.is_object());
        match schema["properties"].get(key).or(free).or(any) {
            Some(property) => problems.extend(validate(below, property, &path)),
            None => problems.push(format!("{path} is unknown")),
        }
    }
    if let Some(items) = value.as_array() {
        let len = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|least| len < least)
            || schema["maxItems"].as_u64().is_some_and(|most| len > most)
        {
            problems.push(format!("{path}: {len} items"));
        }
        problems.extend(items.iter().flat_map(|item| validate(item, &schema["items"], path)));
    }
    problems
}

fn has_type(value: &Json, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    }
}
