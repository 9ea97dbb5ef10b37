use super::*;
use crate::config::{Config, from_yaml};
use crate::notify::receiver::Kind;

fn config(yaml: &str) -> Config {
    from_yaml("netmon.yaml", yaml.as_bytes()).unwrap().config
}

fn mistakes(yaml: &str) -> String {
    from_yaml("netmon.yaml", yaml.as_bytes()).unwrap_err().to_string()
}

#[test]
fn each_kind_has_the_defaults_that_suit_it() {
    let yaml = "
receivers:
  - {name: hook, webhook: {url: 'https://hook.example/a/b'}}
  - {name: slack, slack: {url_file: /run/slack}}
  - {name: pager, pagerduty: {routing_key_env: PD}}
  - {name: am, alertmanager: {urls: 'http://am:9093', resolve_after: 2min}, repeat_interval: 30s}
";
    let config = config(yaml);
    let policy = |n: usize| config.notify.receivers[n].policy.clone();
    assert_eq!(policy(0), Policy::new("hook"));
    assert_eq!(policy(1), Policy::new("slack"));
    assert_eq!((policy(2).group_by, policy(2).repeat_interval), (GroupBy::Each, None));
    assert_eq!(policy(3).group_by, GroupBy::Labels(Vec::new()));
    assert_eq!((policy(3).group_wait, policy(3).repeat_interval), (Duration::ZERO, Some(30 * SECOND)));
    assert!(matches!(config.notify.receivers[3].receiver.kind, Kind::Alertmanager(_)));
}

#[test]
fn every_key_is_read() {
    let yaml = "
receivers:
  - name: ops
    webhook:
      url_file: /run/url
      headers: {X-Team: net}
      header_files: {X-Token: /run/token}
      username: netmon
      password_file: /run/password
      hmac_env: HMAC
      labels: {site: a}
      description: 'value {{ value }}'
      ca_file: /etc/ca.pem
      proxy_url: http://proxy:3128
      allow_local: true
    group_by: [alertname, interface]
    group_wait: 0s
    group_interval: 5min
    repeat_interval: off
    timeout: 2s
    max_age: 1h
    queue: 7
";
    let found = config(yaml).notify.receivers.remove(0);
    let expected = Policy {
        group_by: GroupBy::Labels(vec!["alertname".into(), "interface".into()]),
        group_wait: Duration::ZERO,
        group_interval: 300 * SECOND,
        repeat_interval: None,
        timeout: 2 * SECOND,
        max_age: HOUR,
        queue: 7,
        ..Policy::new("ops")
    };
    assert_eq!(found.policy, expected);
    assert_eq!(found.receiver.http.timeout, 2 * SECOND);
    assert!(found.receiver.http.allow_local && found.receiver.http.proxy.is_some());
    let files: Vec<_> = found.receiver.files().into_iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
}

#[test]
fn every_mistake_is_named_with_what_is_allowed() {
    let yaml = "
receivers:
  - name: 'a b'
    slack: {}
  - name: ops
    webhook: {url: 'http://x/canary'}
    slack: {url_env: A}
  - name: ops
    webhook: {url: 'ftp://x/canary'}
    group_wait: 2h
    repeat_interval: never
    queue: 0
    group_by: [a-b]
  - name: am
    alertmanager: {urls: 'http://am:9093'}
    repeat_interval: off
  - name: am2
    alertmanager: {urls: 'http://am:9093'}
    repeat_interval: 3min
  - name: pd
    pagerduty: {routing_key_env: A, summary: '{{ nothing'}
";
    let expected = "\
config `netmon.yaml:3`: `receivers[0].name` is `a b`, allowed 1 to 64 letters, digits, `_`, `-` and `.`
config `netmon.yaml:3`: `receivers[0]` has none of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one
config `netmon.yaml:5`: `receivers[1]` has webhook and slack of `webhook`, `slack`, `pagerduty` and `alertmanager`, allowed exactly one
config `netmon.yaml:8`: `receivers[2].name` is `ops`, which is the name of `receivers[1]` already
config `netmon.yaml:9`: `receivers[2].webhook.url` is
config `netmon.yaml:10`: `receivers[2].group_wait` is 2 h, allowed 0 s to 1 h (default 10 s)
config `netmon.yaml:11`: `receivers[2].repeat_interval` is `never` (
config `netmon.yaml:12`: `receivers[2].queue` is `0`, allowed 1 to 10000 (default 1000)
config `netmon.yaml:13`: `receivers[2].group_by[0]` is `a-b`, allowed names of labels, or `...` or `none` alone
config `netmon.yaml:16`: `receivers[3].repeat_interval` is off, and an Alertmanager has to be told again that an alert fires
config `netmon.yaml:19`: `receivers[4].repeat_interval` is 3 min, allowed half of `alertmanager.resolve_after` (5 min) at most
config `netmon.yaml:21`: `receivers[5].pagerduty.summary` is";
    let found = mistakes(yaml);
    for line in expected.lines() {
        assert!(found.contains(line), "{line}\n--\n{found}");
    }
    assert!(!found.contains("canary"), "{found}");
}

#[test]
fn a_rule_names_only_receivers_that_there_are() {
    let yaml = "
alerts:
  - {name: A, metric: receive_bytes_per_second, window: 10s, above: 1MiB, notify: [opps]}
alerting: {blind: {notify: nobody}}
receivers:
  - {name: ops, slack: {url_env: A}}
";
    let found = mistakes(yaml);
    assert!(found.contains("`alerts[0].notify[0]` is `opps`, which is no receiver, did you mean `ops`?"), "{found}");
    assert!(found.contains("`alerting.blind.notify[0]` is `nobody`, which is no receiver"), "{found}");
}

#[test]
fn what_is_as_good_as_a_password_is_shown_nowhere() {
    let yaml = "
receivers:
  - {name: a, webhook: {url: 'https://h/canary-1', headers: {X-Token: canary-2}, proxy_url: 'http://p/canary-3'}}
";
    let loaded = from_yaml("netmon.yaml", yaml.as_bytes()).unwrap();
    let shown = format!("{:?} {:?} {}", loaded, loaded.config, serde_json::to_string(&loaded.effective).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}
