//! A real Alertmanager.

use crate::alertmanager::{Alertmanager, PROGRAM};
use crate::messages::{alertmanager, deliver, firing, open, resolved};
use crate::rig::can_run;
use netmon::notify::Outcome;
use std::process::Command;

#[test]
fn alertmanager_shows_an_alert_that_fires_and_lets_it_go_when_it_resolves() {
    if !can_run(&[PROGRAM, "curl", "unshare"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let here = |program: &str| Command::new(program);
    let cluster = Alertmanager::start(&here, directory.path(), port);
    let receiver = open(&alertmanager(&[&format!("http://127.0.0.1:{port}")]));
    let (fires, ends) = (firing(), resolved());
    assert_eq!(deliver(&receiver, &fires), Outcome::Accepted);
    let active = cluster.get("/api/v2/alerts?active=true").unwrap();
    let [alert] = &active.as_array().unwrap()[..] else { panic!("{active}") };
    assert_eq!(alert["status"]["state"], "active");
    assert_eq!(alert["labels"]["alertname"], "HighIngress");
    assert_eq!(
        (&alert["labels"]["severity"], &alert["labels"]["instance"]),
        (&"critical".into(), &"monitor.example".into())
    );
    assert_eq!(alert["annotations"]["summary"], "eth0 receives 120 MiB/s (limit 100 MiB/s)");
    assert_eq!(alert["generatorURL"], "http://monitor.example:8080/");
    // Sent again, it is the same alert.
    assert_eq!(deliver(&receiver, &fires), Outcome::Accepted);
    assert_eq!(cluster.get("/api/v2/alerts").unwrap().as_array().unwrap().len(), 1);
    assert_eq!(deliver(&receiver, &ends), Outcome::Accepted);
    assert_eq!(cluster.get("/api/v2/alerts").unwrap(), serde_json::json!([]));
}
