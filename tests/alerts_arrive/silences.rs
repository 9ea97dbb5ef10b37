//! Who does not want to hear of it, and who wants to know whether it would be heard.

use crate::SOON;
use crate::daemon::flood;
use crate::fate::Fate;
use crate::hook::Hook;
use crate::place::Place;
use crate::rig::{BIND, Wire, can_run};
use crate::support::running::{Running, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};

#[test]
fn a_silenced_alert_is_told_to_nobody_until_the_silence_ends() {
    if !can_run(&["ip", "curl", "python3"]) {
        return;
    }
    let (wire, daemon) = (Wire::new(), format!("http://{BIND}"));
    let (place, hook) = (Place::new(&wire), Hook::start(&wire.monitor, |_| Fate::Accept));
    place.configure(&config(&hook));
    let mut netmon = place.start();
    let silence = |arguments: &[&str]| -> Json {
        let words = [&["alerts", "silence"], arguments, &["--url", &daemon, "--format", "json"]].concat();
        serde_json::from_slice(&place.netmon(&words).success()).expect("it prints JSON")
    };
    let added = silence(&["add", "alertname=Busy", "interface=~m.", "--for", "1h", "--comment", "new uplink"]);
    let loud = json!({"matchers": {"alert": "Loud"}, "duration": "1h", "comment": "c", "created_by": "me"});
    let (status, other) = place.ask("POST", "silences", &loud.to_string());
    assert_eq!((status, &other["created_by"]), (200, &"me".into()), "{other}");
    let ids = || -> Vec<Json> {
        let listed = silence(&["list"])["silences"].as_array().expect("a list").clone();
        listed.into_iter().filter(|one| one["state"] == "active").map(|one| one["id"].clone()).collect()
    };
    assert!(ids().len() == 2 && [&added, &other].iter().all(|one| ids().contains(&one["id"])));

    let traffic = flood(&wire, 2000);
    wait_until("what is not silenced", SOON, || (!hook.told("Heavy").is_empty()).then_some(()));
    let suppressed = || wire.metrics().sum("netmon_alert_suppressed_total", &[("reason", "silence")]);
    wait_until("what is silenced to be counted", SOON, || (suppressed() >= 2.0).then_some(()));
    assert_eq!(suppressed(), 2.0);
    let is_silenced = |alert: &str, silence: &Json| {
        let shown = place.shown(alert).expect("it is shown");
        assert_eq!((&shown["state"], &shown["silenced_until"]), (&"firing".into(), &silence["ends_at"]));
    };
    is_silenced("Busy", &added);
    is_silenced("Loud", &other);
    assert_eq!(place.shown("Heavy").expect("it is shown")["silenced_until"], Json::Null);

    stop(&mut netmon);
    let _netmon = place.start();
    assert_eq!(ids().len(), 2);
    is_silenced("Busy", &added);
    silence(&["expire", added["id"].as_str().expect("an id")]);
    wait_until("what is not silenced any more", SOON, || (!hook.told("Busy").is_empty()).then_some(()));
    let path = format!("silences/{}", other["id"].as_str().expect("an id"));
    drop(traffic);
    wait_until("the ends", SOON, || ["Busy", "Heavy"].iter().all(|alert| hook.told(alert).len() == 2).then_some(()));
    assert_eq!(place.ask("DELETE", &path, "").0, 200);
    assert_eq!(ids(), [] as [Json; 0]);
    assert_eq!(hook.told("Loud"), [], "it was over before the silence was");
    assert_eq!(place.ask("DELETE", "silences/5f0c6a1e9b7d2c34", "").0, 404);
}

fn config(hook: &Hook) -> String {
    format!(
        "alerts:
  - {{name: Busy, metric: packets_per_second, window: 1s, above: 500, notify: [hook]}}
  - {{name: Loud, metric: receive_packets_per_second, window: 1s, above: 500, notify: [hook]}}
  - {{name: Heavy, metric: receive_bytes_per_second, window: 1s, above: 10000, notify: [hook]}}
receivers:
  - {{name: hook, webhook: {{url: '{}'}}, group_by: ['...'], group_wait: 0s, group_interval: 0s}}
",
        hook.url()
    )
}

fn stop(netmon: &mut Running) {
    netmon.signal(Signal::SIGTERM);
    assert_eq!(netmon.end_within(SOON).code(), Some(0));
}

#[test]
fn receivers_are_tried_by_the_daemon_and_by_the_command() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    let wire = Wire::new();
    let place = Place::new(&wire);
    let [hook, failing] = [Fate::Accept, Fate::Fail].map(|fate| Hook::start(&wire.monitor, move |_| fate));
    // Its owner is the user that netmon becomes, which root is not.
    let [good, bad] = [("good", &hook), ("bad", &failing)].map(|(name, hook)| place.secret(name, &hook.url()));
    place.configure(&format!(
        "receivers:
  - {{name: good, webhook: {{url_file: {}}}}}
  - {{name: bad, webhook: {{url_file: {}}}}}
",
        good.display(),
        bad.display()
    ));
    let _netmon = place.start();
    let (status, sent) = place.ask("POST", "receivers/good/test", "");
    assert_eq!((status, &sent["result"]), (200, &"accepted".into()), "{sent}");
    assert_eq!((hook.told("NetmonTest").len(), &*hook.entries()[0].key), (1, sent["key"].as_str().expect("a key")));
    let (status, refused) = place.ask("POST", "receivers/bad/test", "");
    assert!(status == 409 && refused["detail"].as_str().is_some_and(|detail| detail.contains("500")), "{refused}");
    let (status, unknown) = place.ask("POST", "receivers/nobody/test", "");
    assert!(status == 404 && unknown.to_string().contains("good"), "{unknown}");

    let said = String::from_utf8(place.netmon(&["alerts", "send", "good"]).success()).expect("it is text");
    assert!(said.ends_with("accepted\n") && hook.told("NetmonTest").len() == 2, "{said}");
    let ended = place.netmon(&["alerts", "send", "bad"]);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.code == Some(1) && said.contains("failed (http_5xx)"), "{said}");
    assert!(!said.contains("/hook"), "the URL is a secret: {said}");
}
