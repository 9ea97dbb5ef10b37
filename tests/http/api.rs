//! The API over real sockets, from snapshots made by hand.

use crate::client::{Server, sources};
use netmon::http::{Command, Health, HistoryKind, Refusal, Rooms, Seconds, Sources};
use netmon::packet::InterfaceId;
use netmon::stats::{Config, Snapshot, StatsAggregator};
use netmon::time::Tick;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Two interfaces on which nothing happened.
pub fn quiet() -> Arc<Snapshot> {
    let mut aggregator = StatsAggregator::new(Config::default());
    aggregator.add_interface(InterfaceId(0), "eth0");
    aggregator.add_interface(InterfaceId(1), "eth1");
    aggregator.advance(Tick(17_000_000_000));
    aggregator.snapshot()
}

async fn served(rooms: Rooms) -> Server {
    Server::local(Sources { rooms, ..sources(quiet(), Health::new()) }).await
}

#[tokio::test]
async fn interfaces_have_every_window_and_can_be_paged_through() {
    let server = served(Rooms::default()).await;
    let all = server.get("/api/v1/interfaces").await.json();
    assert_eq!(all["time"], all["interfaces"][0]["time"]);
    assert_eq!(all["next"], Value::Null);
    let windows: Vec<_> = all["interfaces"][0]["windows"].as_array().unwrap().iter().map(|w| &w["window"]).collect();
    assert_eq!(windows, ["1s", "10s", "60s"]);
    let first = server.get("/api/v1/interfaces?limit=1&order=desc").await.json();
    assert_eq!((&first["interfaces"][0]["interface"], &first["next"]), (&json!("eth1"), &json!("1")));
    let second = server.get("/api/v1/interfaces?limit=1&order=desc&cursor=1").await.json();
    assert_eq!((&second["interfaces"][0]["interface"], &second["next"]), (&json!("eth0"), &Value::Null));
    assert_eq!(server.get("/api/v1/interfaces/eth1").await.json(), all["interfaces"][1]);
    server.stop().await;
}

#[tokio::test]
async fn every_mistake_names_the_field_the_value_and_what_is_allowed() {
    let server = served(Rooms::default()).await;
    for (path, status, field) in [
        ("/api/v1/interfaces?limit=0", 400, "limit"),
        ("/api/v1/interfaces?limt=1", 400, "limt"),
        ("/api/v1/interfaces?sort=nme", 400, "sort"),
        ("/api/v1/interfaces?cursor=x", 400, "cursor"),
        ("/api/v1/interfaces/eth9", 404, "name"),
        ("/api/v1/talkers?kind=host", 400, "kind"),
        ("/api/v1/flows?port=65536", 400, "port"),
        ("/api/v1/flows?host=10.0.0.1/33", 400, "host"),
        ("/api/v1/flows?state=opened", 400, "state"),
        ("/api/v1/flows?protocol=tpc", 400, "protocol"),
        ("/api/v1/flows?cursor=1", 400, "cursor"),
        ("/api/v1/flows/xyz", 400, "id"),
        ("/api/v1/history/weather", 404, "kind"),
        ("/api/v1/stream?interval=1ms", 400, "interval"),
        ("/api/v1/stream?topics=all", 400, "topics"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{path}");
        let problem = answer.json();
        assert_eq!(problem["field"], field, "{path}: {problem}");
        assert!(!problem["allowed"].is_null(), "{path}: {problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn rooms_that_are_not_in_use_say_so() {
    let server = served(Rooms::default()).await;
    let json = "Content-Type: application/json\r\n";
    for (method, path, body) in [
        ("GET", "/api/v1/flows", ""),
        ("GET", "/api/v1/alerts", ""),
        ("GET", "/api/v1/config", ""),
        ("GET", "/api/v1/history/bandwidth?from=-1h", ""),
        ("GET", "/api/v1/silences", ""),
        ("POST", "/api/v1/silences", r#"{"matchers":{"alert":"x"},"duration":"1h"}"#),
        ("DELETE", "/api/v1/silences/1", ""),
        ("POST", "/api/v1/receivers/ops/test", ""),
        ("POST", "/api/v1/reload", ""),
        ("POST", "/api/v1/interfaces/eth0/pause", "{}"),
        ("PUT", "/api/v1/interfaces/eth0/filter", r#"{"bpf":null}"#),
    ] {
        let answer = server.send(method, path, json, body).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with("is not in use here"), "{method} {path}: {detail}");
    }
    server.stop().await;
}

#[tokio::test]
async fn commands_and_questions_reach_their_rooms() {
    let told: Arc<Mutex<Vec<Command>>> = Arc::default();
    let notes = Arc::clone(&told);
    let rooms = Rooms {
        control: Some(Box::new(move |command| {
            notes.lock().unwrap().push(command.clone());
            match command {
                Command::Reload => Err(Refusal::Conflict("config `netmon.yaml:3`: no".into())),
                _ => Ok(json!({ "done": true })),
            }
        })),
        history: Some(Box::new(|query| match query.kind {
            HistoryKind::Bandwidth => Ok(json!(query.parameters)),
            _ => Err(Refusal::Invalid { field: "from".into(), value: "x".into(), allowed: "a time".into() }),
        })),
        ..Rooms::default()
    };
    let server = served(rooms).await;
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    let refused = server.send("POST", "/api/v1/reload", json, "").await;
    assert_eq!((refused.status, &refused.json()["detail"]), (409, &json!("config `netmon.yaml:3`: no")));
    assert_eq!(server.send("POST", "/api/v1/interfaces/eth0/pause", json, "").await.status, 200);
    assert_eq!(server.send("POST", "/api/v1/interfaces/eth9/pause", json, "").await.status, 404);
    let filter = "/api/v1/interfaces/eth1/filter";
    assert_eq!(server.send("PUT", filter, json, r#"{"bpf":" tcp "}"#).await.status, 200);
    for bad in ["", "[]", r#"{"bpf":1}"#, r#"{"filter":"tcp"}"#, "{"] {
        let status = server.send("PUT", filter, json, bad).await.status;
        assert!(status == 400, "{bad}: {status}");
    }
    assert_eq!(server.send("PUT", filter, json, &format!("{{\"bpf\":\"{}\"}}", "x".repeat(5000))).await.status, 400);
    assert_eq!(server.send("PUT", filter, json, &" ".repeat(70_000)).await.status, 413);
    let expected = [Command::Reload, Command::Pause("eth0".into()), Command::Filter("eth1".into(), Some("tcp".into()))];
    assert_eq!(*told.lock().unwrap(), expected);
    let bandwidth = server.get("/api/v1/history/bandwidth?from=-1h&step=60s").await.json();
    assert_eq!(bandwidth, json!({ "from": "-1h", "step": "60s" }));
    assert_eq!(server.get("/api/v1/history/flows?from=x").await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn methods_are_those_of_the_description() {
    let server = served(Rooms::default()).await;
    let description = server.get("/api/openapi.json").await.json();
    assert_eq!(description["openapi"], "3.1.0");
    let json = "Content-Type: application/json\r\n";
    for (path, operations) in description["paths"].as_object().unwrap() {
        let concrete = path.replace("{name}", "eth0").replace("{id}", "1").replace("{kind}", "flows");
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let is_described = operations.get(method.to_lowercase()).is_some();
            let status = server.send(method, &concrete, json, "").await.status;
            assert_eq!(status != 405, is_described, "{method} {path}: {status}");
            let described = operations[method.to_lowercase()]["responses"].get(status.to_string()).is_some();
            assert!(!is_described || described, "{method} {path} answers {status}, which is not described");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_past_is_kept_by_the_second() {
    let seconds = Seconds::default();
    seconds.observe(&quiet());
    let server = Server::local(Sources { seconds, ..sources(quiet(), Health::new()) }).await;
    let mut stream = crate::stream::Socket::open(&server, "?topics=seconds").await;
    let hello = stream.message().await;
    assert_eq!((&hello["type"], &hello["schema"]), (&json!("hello"), &json!(1)));
    assert_eq!(hello["seconds"][0]["interface"], "eth0");
    assert_eq!(hello["seconds"][0]["time"], json!([1_700_000_000_u64]));
    assert_eq!(stream.message().await["seconds"][0]["time"], json!([]));
    server.stop().await;
}
