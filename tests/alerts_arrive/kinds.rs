//! One alert to every kind of receiver.

use crate::alertmanager::{Alertmanager, PROGRAM};
use crate::daemon::flood;
use crate::place::Place;
use crate::rig::{Wire, can_run};
use crate::server::Server;
use crate::support::running::wait_until;
use crate::{SOON, checks};
use serde_json::{Value as Json, json};

const KEY: &str = "0123456789abcdef0123456789ABCDEF";
const ALERTMANAGER: u16 = 9093;

#[test]
fn a_firing_and_its_end_arrive_at_all_kinds_of_receivers_at_once() {
    if !can_run(&["ip", "curl", "python3", "unshare", PROGRAM]) {
        return;
    }
    let wire = Wire::new();
    let place = Place::new(&wire);
    // The last takes what the Alertmanager is told, too.
    let answers = ["200 OK", "200 OK", "202 Accepted", "200 OK"];
    let servers = wire.monitor.inside(|| answers.map(|status| Server::answering(status, "")));
    let directory = tempfile::tempdir().expect("a directory");
    let host = |program: &str| wire.monitor.command(program);
    let alertmanager = Alertmanager::start(&host, directory.path(), ALERTMANAGER);
    place.configure(&config(&place, &servers));
    let _netmon = place.start();

    let traffic = flood(&wire, 2000);
    let told = |count: usize| servers.iter().all(|server| server.requests().len() >= count).then_some(());
    wait_until("everybody to hear that it fires", SOON, || told(1));
    let active = wait_until("Alertmanager to show it", SOON, || of(&alertmanager, "Busy"));
    let labels = json!({"alertname": "Busy", "interface": "m0", "severity": "critical", "team": "net"});
    for (name, value) in labels.as_object().expect("it is a map") {
        assert_eq!(active["labels"][name], *value, "{active}");
    }
    assert_eq!(active["status"]["state"], "active");
    assert_eq!(place.shown("Busy").expect("it is shown")["state"], "firing");
    drop(traffic);
    wait_until("everybody to hear that it is over", SOON, || told(2));
    wait_until("Alertmanager to let it go", SOON, || of(&alertmanager, "Busy").is_none().then_some(()));
    let shown = place.shown("Busy").expect("it is still shown");
    assert_eq!((&shown["state"], &shown["silenced_until"]), (&"resolved".into(), &Json::Null));
    assert!(shown["resolved_at"].as_str() > shown["fired_at"].as_str(), "{shown}");
    check(&servers);
}

fn config(place: &Place<'_>, [hook, slack, pager, cluster]: &[Server; 4]) -> String {
    let slack = place.secret("slack", &slack.url("/services/T0/B0/canary"));
    let key = place.secret("pagerduty", KEY);
    format!(
        "alerts:
  - name: Busy
    metric: packets_per_second
    window: 1s
    above: 500
    severity: critical
    labels: {{team: net}}
    summary: '{{{{ interface }}}} carries {{{{ value }}}} (limit {{{{ threshold }}}})'
    runbook_url: https://runbooks.example/Busy
    notify: [hook, slack, pager, cluster]
receivers:
  - {{name: hook, webhook: {{url: '{}'}}, group_wait: 0s, group_interval: 0s}}
  - {{name: slack, slack: {{url_file: {}}}, group_wait: 0s, group_interval: 0s}}
  - {{name: pager, pagerduty: {{routing_key_file: {}, url: '{}'}}}}
  - {{name: cluster, alertmanager: {{urls: ['http://127.0.0.1:{ALERTMANAGER}', '{}']}}}}
",
        hook.url("/hook"),
        slack.display(),
        key.display(),
        pager.url("/v2/enqueue"),
        cluster.url(""),
    )
}

/// The alert of this name, if it is there.
fn of(alertmanager: &Alertmanager<'_>, name: &str) -> Option<Json> {
    let alerts = alertmanager.get("/api/v2/alerts").expect("it answers");
    alerts.as_array()?.iter().find(|alert| alert["labels"]["alertname"] == name).cloned()
}

/// Each heard of it twice and no more, in its own words.
fn check([hook, slack, pager, cluster]: &[Server; 4]) {
    let documents = |server: &Server| -> [Json; 2] {
        let documents: Vec<_> = server.requests().iter().map(|request| request.json()).collect();
        documents.try_into().unwrap_or_else(|documents| panic!("two messages, not {documents:#?}"))
    };
    let [fired, over] = documents(hook);
    [&fired, &over].iter().for_each(|document| checks::webhook(document));
    assert_eq!((&fired["status"], &over["status"]), (&"firing".into(), &"resolved".into()));
    for same in ["labels", "startsAt", "fingerprint"] {
        assert_eq!(fired["alerts"][0][same], over["alerts"][0][same]);
    }
    let summary = fired["alerts"][0]["annotations"]["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("m0 carries ") && summary.ends_with(" per second (limit 500 per second)"), "{summary}");

    let [fired, over] = documents(slack);
    [&fired, &over].iter().for_each(|document| checks::slack(document));
    assert!([&fired, &over].iter().all(|document| document.to_string().contains("Busy")));
    assert_ne!(fired["attachments"][0]["color"], over["attachments"][0]["color"]);

    let [fired, over] = documents(pager);
    [&fired, &over].iter().for_each(|document| checks::pagerduty(document));
    assert_eq!((&fired["event_action"], &over["event_action"]), (&"trigger".into(), &"resolve".into()));
    assert_eq!((&fired["dedup_key"], &fired["routing_key"]), (&over["dedup_key"], &KEY.into()));
    assert_eq!(fired["payload"]["severity"], "critical");

    let [fired, over] = documents(cluster);
    [&fired, &over].iter().for_each(|document| checks::alertmanager(document));
    assert_eq!((&fired[0]["labels"], &fired[0]["startsAt"]), (&over[0]["labels"], &over[0]["startsAt"]));
    assert!(fired[0]["endsAt"].as_str() > over[0]["endsAt"].as_str(), "{fired} {over}");
}
