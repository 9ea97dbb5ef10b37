//! `netmon check`: reads the config as `netmon run` would, prints every mistake, and says what would run.
//!
//! Needs no privilege and opens nothing but the config and the files that it names. The exit code is 0, or 2 when something is wrong.

use super::secrets;
use crate::config::{self, Config, Finding, Loaded, Mistake, Mistakes, units::Size, units::Span};
use crate::http::{Bind, Known};
use crate::otlp;
use crate::packet::Linktype;
use crate::telemetry::Escaped;
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use std::path::Path;

/// What `netmon check` was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The file of `--config`.
    pub file: Option<&'a Path>,
    /// What is missing on this machine is a mistake, as it is for `netmon run`, not a warning.
    pub strict: bool,
    /// Print the JSON Schema of the file and do nothing else.
    pub schema: bool,
    /// Print one JSON object in place of lines for people.
    pub json: bool,
}

/// What other parts of the program know about this machine and this config.
pub struct Machine<'a> {
    /// The interfaces that patterns select here, or why they select none. No patterns: that of the default route.
    pub resolve: &'a Resolve,
    /// Compiles a filter for frames of a link type.
    pub compile: &'a Compile,
    /// The most series that `/metrics` can have.
    pub series_limit: &'a dyn Fn(&Config) -> u64,
}

/// See [`Machine::resolve`].
pub type Resolve = dyn Fn(&[String]) -> Result<Vec<String>, Refusal>;

/// See [`Machine::compile`].
pub type Compile = dyn Fn(&str, Linktype) -> Result<(), Refusal>;

/// Why something does not work here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A sentence of its own.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    fn about(self, key: String) -> Finding {
        Finding { key, message: self.message, hint: self.hint }
    }
}

/// Runs the command; the result goes to `out`, mistakes and warnings for people to `err`. Returns the exit code.
///
/// # Errors
/// When `out` or `err` cannot be written.
pub fn check(options: Options<'_>, machine: &Machine<'_>, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    if options.schema {
        writeln!(out, "{:#}", config::schema().as_value())?;
        return Ok(0);
    }
    let checks = |config: &Config| {
        let mut findings = filter_that_does_not_compile(config, machine);
        findings.extend(access(config, false));
        if options.strict {
            findings.extend(access(config, true));
            findings.extend(missing_interfaces(config, machine));
            findings.extend(secrets::missing(config));
        }
        findings
    };
    match config::load(options.file, &[], &checks) {
        Ok(loaded) => {
            let warnings: Vec<Mistake> = if options.strict {
                Vec::new()
            } else {
                let interfaces = missing_interfaces(&loaded.config, machine);
                let secrets = access(&loaded.config, true).into_iter().chain(secrets::missing(&loaded.config));
                interfaces.into_iter().chain(secrets).map(|finding| loaded.place(finding)).collect()
            };
            print_plan(options, &loaded, &warnings, machine, out, err).map(|()| 0)
        }
        Err(mistakes) => print_mistakes(options, &mistakes, out, err).map(|()| 2),
    }
}

/// For Ethernet, which is what nearly all interfaces give, `lo` included; `netmon run` compiles for the real link type.
fn filter_that_does_not_compile(config: &Config, machine: &Machine<'_>) -> Vec<Finding> {
    let refused = config.capture.bpf.as_deref().and_then(|filter| (machine.compile)(filter, Linktype::Ethernet).err());
    refused.map(|refusal| refusal.about("capture.bpf".into())).into_iter().collect()
}

/// What is wrong with secrets and certificates: with what cannot be read here, or with the rest.
fn access(config: &Config, unreadable: bool) -> Option<Finding> {
    let error = Known::load(&config.api).err().filter(|error| error.is_unreadable() == unreadable)?;
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        message = format!("{message}: {source}");
    }
    Some(Finding { key: error.key().into(), message, hint: error.hint() })
}

/// Each pattern is tried alone, so that all that are missing are named.
fn missing_interfaces(config: &Config, machine: &Machine<'_>) -> Vec<Finding> {
    let missing = config.interfaces.iter().enumerate().filter_map(|(n, pattern)| {
        let refusal = (machine.resolve)(std::slice::from_ref(pattern)).err()?;
        Some(refusal.about(format!("interfaces[{n}]")))
    });
    missing.collect()
}

/// What the patterns select, without those that select nothing.
fn present_interfaces(config: &Config, machine: &Machine<'_>) -> Vec<String> {
    let selects = |pattern: &&String| (machine.resolve)(std::slice::from_ref(*pattern)).is_ok();
    let present: Vec<String> = config.interfaces.iter().filter(selects).cloned().collect();
    if present.is_empty() && !config.interfaces.is_empty() {
        return present;
    }
    (machine.resolve)(&present).unwrap_or_default()
}

fn print_mistakes(
    options: Options<'_>,
    mistakes: &Mistakes,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    if options.json {
        let Mistakes { listed, omitted } = mistakes;
        return writeln!(out, "{:#}", json!({"valid": false, "mistakes": listed, "omitted": omitted}));
    }
    for mistake in &mistakes.listed {
        writeln!(err, "netmon: {mistake}")?;
    }
    if mistakes.omitted > 0 {
        writeln!(err, "netmon: and {} more mistakes", mistakes.omitted)?;
    }
    Ok(())
}

fn print_plan(
    options: Options<'_>,
    loaded: &Loaded,
    warnings: &[Mistake],
    machine: &Machine<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    let interfaces = present_interfaces(&loaded.config, machine);
    let series_limit = (machine.series_limit)(&loaded.config);
    if options.json {
        let plan = json_plan(loaded, &interfaces, series_limit);
        return writeln!(
            out,
            "{:#}",
            json!({"valid": true, "warnings": warnings, "plan": plan, "config": loaded.effective})
        );
    }
    for warning in warnings {
        writeln!(err, "netmon: warning: {warning}")?;
    }
    for (what, value) in text_plan(loaded, &interfaces, series_limit) {
        writeln!(out, "{what:<12}{}", Escaped(&value))?;
    }
    Ok(())
}

fn json_plan(loaded: &Loaded, interfaces: &[String], series_limit: u64) -> Json {
    let Config { capture, flows, aggregation, api, .. } = &loaded.config;
    json!({
        "file": loaded.file.as_deref().map(|file| file.to_string_lossy()),
        "interfaces": interfaces,
        "filter": capture.bpf,
        "snaplen": capture.snaplen,
        "buffer_bytes": capture.buffer_bytes,
        "windows_seconds": aggregation.windows.iter().map(std::time::Duration::as_secs).collect::<Vec<_>>(),
        "flows_max": flows.max,
        "listeners": api.bind.iter().map(listener).collect::<Vec<_>>(),
        "series_limit": series_limit,
        "push": pushed(&loaded.config.otlp),
    })
}

/// What would run, as lines of a name and a text.
fn text_plan(loaded: &Loaded, interfaces: &[String], series_limit: u64) -> Vec<(&'static str, String)> {
    let Config { capture, flows, aggregation, api, .. } = &loaded.config;
    let file = loaded.file.as_deref().map_or("none, all defaults".into(), |file| file.to_string_lossy().into_owned());
    let interfaces = if interfaces.is_empty() { "none on this machine now".into() } else { interfaces.join(", ") };
    let windows: Vec<String> = aggregation.windows.iter().map(|window| Span::from(*window).to_string()).collect();
    let listeners: Vec<String> = api.bind.iter().map(listener).collect();
    let how = if capture.promiscuous { "promiscuous" } else { "not promiscuous" };
    let (snaplen, buffer) = (Size(capture.snaplen.into()), Size(capture.buffer_bytes.into()));
    let mut plan = vec![
        ("config", file),
        ("interfaces", interfaces),
        ("capture", format!("libpcap, {how}, {snaplen} of each frame, buffer of {buffer} each")),
        ("filter", capture.bpf.clone().unwrap_or("none, everything is captured".into())),
        ("windows", windows.join(", ")),
        ("flows", format!("at most {}", flows.max)),
        ("listeners", listeners.join(", ")),
        ("series", format!("at most {series_limit}")),
    ];
    plan.extend(pushed(&loaded.config.otlp).map(|pushed| ("push", pushed)));
    plan
}

/// What goes to a collector, and where; of an address only what may be shown.
fn pushed(config: &otlp::Config) -> Option<String> {
    let metrics = config.metrics.as_ref().map(|url| format!("metrics every {} to {url}", Span::from(config.interval)));
    let traces = config.traces.as_ref().map(|url| format!("traces to {url}"));
    let signals: Vec<_> = metrics.into_iter().chain(traces).collect();
    (!signals.is_empty()).then(|| format!("{} ({})", signals.join(", "), config.protocol.name()))
}

fn listener(bind: &Bind) -> String {
    match bind {
        Bind::Tcp(address) => format!("http://{address}"),
        Bind::Unix(path) => format!("unix:{}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with `eth0` and `lo`, where only filters that begin with "tcp" compile.
    const MACHINE: Machine<'static> = Machine {
        resolve: &|patterns| match patterns {
            [] => Ok(vec!["eth0".into()]),
            patterns if patterns.iter().all(|pattern| pattern == "eth0" || pattern == "lo") => Ok(patterns.into()),
            patterns => Err(Refusal { message: format!("no interface `{}` here", patterns.join(",")), hint: None }),
        },
        compile: &|filter, linktype| {
            if filter.starts_with("tcp ") {
                return Ok(());
            }
            let message = format!("filter `{filter}` does not compile for linktype {linktype}");
            Err(Refusal { message, hint: Some("see the manual".into()) })
        },
        series_limit: &|config| 1000 + config.flows.max as u64,
    };

    /// Exit code, stdout and stderr with the path of the file replaced by `F`.
    fn run(yaml: &str, options: Options<'_>) -> (u8, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("netmon.yaml");
        std::fs::write(&file, yaml).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check(Options { file: Some(&file), ..options }, &MACHINE, &mut out, &mut err).unwrap();
        let path = file.to_str().unwrap();
        // JSON escapes the separators of Windows.
        let escaped = path.replace('\\', r"\\");
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&escaped, "F").replace(path, "F");
        (code, text(out), text(err))
    }

    #[test]
    fn a_good_config_says_what_would_run() {
        let yaml =
            "interfaces: [eth0, lo]\ncapture: {bpf: tcp port 443}\napi: {bind: ['[::1]:80', 'unix:/run/n.sock']}\n";
        let plan = "\
config      F
interfaces  eth0, lo
capture     libpcap, promiscuous, 512 B of each frame, buffer of 16 MiB each
filter      tcp port 443
windows     1 s, 10 s, 60 s
flows       at most 2097152
listeners   http://[::1]:80, unix:/run/n.sock
series      at most 2098152
";
        assert_eq!(run(yaml, Options::default()), (0, plan.into(), String::new()));
    }

    #[test]
    fn every_mistake_goes_to_stderr_with_a_filter_that_does_not_compile_among_them() {
        let (code, out, err) = run("capture:\n  bpf: tpc\n  snaplen: 1\n  x: 1\n", Options::default());
        let expected = "\
netmon: config `F:2`: filter `tpc` does not compile for linktype EN10MB
  hint: see the manual
netmon: config `F:3`: `capture.snaplen` is 1 B, allowed 64 B to 256 KiB (default 512 B)
netmon: config `F:4`: unknown key `capture.x`, allowed `capture.backend`, `capture.bpf`, `capture.buffer`, \
`capture.promiscuous`, `capture.rings`, `capture.snaplen`, `capture.spares`
";
        assert_eq!((code, out.as_str(), err.as_str()), (2, "", expected));
    }

    #[test]
    fn a_missing_interface_is_a_warning_and_with_strict_a_mistake() {
        let yaml = "interfaces:\n  - eth0\n  - eth7\n  - eth8\n";
        let (code, out, err) = run(yaml, Options::default());
        let lines = ["config `F:3`: no interface `eth7` here", "config `F:4`: no interface `eth8` here"];
        let warnings: String = lines.map(|line| format!("netmon: warning: {line}\n")).concat();
        assert_eq!((code, err), (0, warnings));
        assert!(out.contains("\ninterfaces  eth0\n"), "{out}");
        let (code, out, err) = run(yaml, Options { strict: true, ..Options::default() });
        let mistakes: String = lines.map(|line| format!("netmon: {line}\n")).concat();
        assert_eq!((code, out.as_str(), err), (2, "", mistakes));
    }

    #[test]
    fn a_missing_secret_is_a_warning_and_with_strict_a_mistake() {
        let yaml = "\
receivers:
  - {name: here, webhook: {url: 'http://192.0.2.7/hook'}}
  - name: ops
    slack: {url_file: /no/such/file}
";
        let line = "config `F:4`: cannot read secret file `/no/such/file`: No such file or directory (os error 2)\n";
        let (code, _, err) = run(yaml, Options::default());
        assert_eq!((code, err), (0, format!("netmon: warning: {line}")));
        let (code, out, err) = run(yaml, Options { strict: true, ..Options::default() });
        assert_eq!((code, out.as_str(), err), (2, "", format!("netmon: {line}")));
    }

    #[test]
    fn json_has_the_plan_or_the_mistakes() {
        let options = Options { json: true, ..Options::default() };
        let (code, out, err) = run("interfaces: [eth7]\n", options);
        let result: Json = serde_json::from_str(&out).unwrap();
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(result["valid"], true);
        assert_eq!(result["warnings"][0]["line"], 1);
        assert_eq!(result["plan"]["series_limit"], 2_098_152);
        assert_eq!(result["config"]["flows"]["timeouts"]["udp"], "60s");

        let (code, out, err) = run("flows:\n  max: 1\n", options);
        let result: Json = serde_json::from_str(&out).unwrap();
        assert_eq!((code, err.as_str()), (2, ""));
        let expected = json!([{
            "file": "F", "line": 2, "column": 3, "key": "flows.max", "hint": null,
            "message": "`flows.max` is 1, allowed 1024 to 67108864 (default 2097152)",
        }]);
        assert_eq!((&result["valid"], &result["mistakes"]), (&Json::Bool(false), &expected));
    }

    #[test]
    fn the_schema_is_printed_without_reading_any_config() {
        let (code, out, _) = run("not: valid\n", Options { schema: true, ..Options::default() });
        let schema: Json = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &schema["title"]), (0, &Json::from("netmon.yaml")));
    }
}
