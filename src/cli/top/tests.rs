//! The view as it is drawn, on a terminal in memory.

use super::draw::{Theme, draw};
use super::source::{News, Picture};
use super::view::{Kind, Next, Panel, View};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use serde_json::{Value, from_value, json};
use std::time::Duration;

fn window(name: &str, seconds: f64) -> Value {
    let rates = |bytes: f64| json!({ "packets_per_second": 521.0, "bytes_per_second": bytes });
    let volume = |bytes: u64| json!({ "packets": 100, "bytes": bytes });
    json!({
        "window": name, "seconds": seconds, "full": seconds < 60.0, "receive": rates(500_000.0), "transmit": rates(250_000.0),
        "protocols": [
            { "network": "ipv4", "transport": "tcp", "receive": volume(1_000), "transmit": volume(0) },
            { "network": "ipv4", "transport": "udp", "receive": volume(2_000), "transmit": volume(1_000) },
            { "network": "arp", "transport": "other", "receive": volume(0), "transmit": volume(0) },
        ],
        "tcp": { "segments": { "receive": 50, "transmit": 50 }, "retransmit_ratio": 0.06, "connections_opened": 50 },
    })
}

fn interface(name: &str, lost: u64) -> Value {
    let mut windows = [("1s", 1.0), ("10s", 10.0), ("60s", 60.0)].map(|(name, seconds)| window(name, seconds));
    windows[2]["losses"] = json!({ "dropped_packets": { "kernel": lost, "queue": 0 } });
    json!({
        "interface": name, "windows": windows,
        "capture": { "up": true, "backend": "libpcap", "coverage": [{ "ratio": 1.0 }, { "ratio": 0.999 }] },
    })
}

/// A second after `second` past noon.
fn picture(second: u32, interfaces: &[Value]) -> Box<Picture> {
    let flow = json!({
        "protocol": "tcp", "src_ip": "192.0.2.1", "src_port": 40000, "dst_ip": "2001:db8::1", "dst_port": 443,
        "state": "open", "bytes_c2s": 700, "bytes_s2c": 300, "packets_c2s": 7,
    });
    let host = |host: &str, bytes: u64| json!({ "host": host, "from_bytes": bytes, "to_bytes": bytes / 2 });
    let alert = json!({
        "alert": "HighLoss", "labels": { "interface": "eth0" }, "severity": "critical", "state": "firing",
        "value": 0.06, "threshold": 0.05, "unit": "ratio",
    });
    let time = format!("2026-01-01T12:{:02}:{:02}.000000000Z", second / 60, second % 60);
    Box::new(Picture {
        interfaces: from_value(json!({ "time": time, "interfaces": interfaces })).unwrap(),
        talkers: from_value(json!({ "window": "10s", "rows": [host("192.0.2.1", 5_000_000), host("192.0.2.2", 10)] }))
            .unwrap(),
        flows: Some(Ok(from_value(json!({ "flows": [flow], "matched": 1 })).unwrap())),
        alerts: from_value(json!([alert])).unwrap(),
    })
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn running() -> View {
    let mut view = View::new("http://127.0.0.1:8080".into(), Kind::Daemon);
    (0..90).for_each(|second| view.take(Ok(picture(second, &[interface("eth0", 0)])), seconds(second.into())));
    view
}

fn screen(view: &View, size: (u16, u16), now: u64, colours: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, view, Theme { colours }, seconds(now))).unwrap();
    terminal
}

fn drawn(view: &View, size: (u16, u16), now: u64) -> String {
    screen(view, size, now, true).backend().to_string()
}

fn press(view: &mut View, keys: &str) -> Next {
    let code = |key| match key {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\x1b' => KeyCode::Esc,
        _ => KeyCode::Char(key),
    };
    keys.chars().map(|key| view.press(KeyEvent::new(code(key), KeyModifiers::NONE))).last().unwrap()
}

#[track_caller]
fn has(screen: &str, all: &[&str]) {
    for words in all {
        assert!(screen.contains(words), "no `{words}` in\n{screen}");
    }
}

#[test]
fn a_small_terminal_shows_every_panel() {
    let screen = drawn(&running(), (80, 24), 89);
    let words = [
        "netmon top http://127.0.0.1:8080",
        "live",
        "✓ eth0  coverage 99.9 %  nothing lost",
        "▲  4.00 Mbit/s",
        "▼  2.00 Mbit/s",
        "521/s",
        "Top hosts, last 10s",
        "192.0.2.1",
        "4.00 Mbit/s",
        "ipv4 udp",
        "75.0 %",
        "arp",
        "0 %",
        "Flows: 1 by bytes (most first)",
        "192.0.2.1:40000",
        "[2001:db8::1]:443",
        "open",
        "1.00 kB",
        "TCP health of eth0, last 10s",
        "retransmitted 6.00 %",
        "opened 5.00/s",
        "Alerts: 1 firing",
        "HighLoss critical",
        "interface=eth0: 6.00 % (limit 5.00 %)",
        "q quit",
        "? help",
    ];
    has(&screen, &words);
}

#[test]
fn a_large_terminal_shows_more_of_each() {
    let screen = drawn(&running(), (160, 50), 89);
    has(&screen, &["handshake p50/95/99", "out of order 0/s", "bytes →", "first seen", "Alerts: 1 firing"]);
}

#[test]
fn no_size_panics_and_too_small_ones_say_so() {
    let mut views = [running(), running(), View::new("x".into(), Kind::Replay)];
    views[1].enlarged = true;
    views[2].help = true;
    for (view, panel) in views.iter_mut().zip([Panel::Flows, Panel::Interfaces, Panel::Tcp]) {
        view.panel = panel;
        for width in [1, 10, 59, 60, 75, 80, 119, 120, 300] {
            for height in [1, 5, 15, 16, 17, 20, 24, 40, 80] {
                drawn(view, (width, height), 89);
            }
        }
    }
    has(&drawn(&running(), (40, 16), 89).replace("\"\n\"", ""), &["40 x 16", "needs 60 x 16"]);
}

#[test]
fn losses_are_in_sight_by_place_and_the_worst_capture_is_first() {
    let mut view = View::new("x".into(), Kind::Daemon);
    let many: Vec<Value> = (0..9).map(|n| interface(&format!("eth{n}"), if n == 8 { 1203 } else { 0 })).collect();
    view.take(Ok(picture(0, &many)), seconds(0));
    let screen = drawn(&view, (80, 24), 0);
    has(&screen, &["✗ eth8  1203 lost (kernel) in the last 60s", "7 more, all whole", "eth0", "▲", "4 more"]);
    let (lost, first) = (screen.find("✗ eth8").unwrap(), screen.find("✓ eth0").unwrap());
    assert!(lost < first, "{screen}");
}

#[test]
fn what_is_stale_says_how_old_it_is_and_goes_on_by_itself() {
    let mut view = running();
    has(&drawn(&view, (80, 24), 89 + 12), &["last data 12 s ago"]);
    view.take(Err("Connection refused".into()), seconds(90));
    has(&drawn(&view, (80, 24), 89 + 30), &["last data 30 s ago: Connection refused", "192.0.2.1"]);
    // Half of the minute is empty then.
    let blank =
        |now| drawn(&view, (80, 24), now).lines().find(|line| line.contains("eth0   ")).unwrap().matches(' ').count();
    assert!(blank(89 + 30) >= blank(89) + 20, "{}", drawn(&view, (80, 24), 89 + 30));
    view.take(Ok(picture(125, &[interface("eth0", 0)])), seconds(125));
    has(&drawn(&view, (80, 24), 125), &["live"]);
    let mut never = View::new("http://127.0.0.1:1".into(), Kind::Daemon);
    never.take(Err("Connection refused".into()), seconds(1));
    has(&drawn(&never, (80, 24), 2), &["no answer: Connection refused", "No data yet; asking again every second."]);
}

#[test]
fn a_held_view_stays_as_it_is() {
    let mut view = running();
    press(&mut view, "p");
    let before = drawn(&view, (80, 24), 89);
    view.take(Ok(picture(90, &[interface("eth0", 5)])), seconds(90));
    assert_eq!(drawn(&view, (80, 24), 90), before);
    has(&before, &["held at", "p go on"]);
    press(&mut view, "p");
    view.take(Ok(picture(91, &[interface("eth0", 5)])), seconds(91));
    has(&drawn(&view, (80, 24), 91), &["5 lost (kernel)", "live"]);
}

#[test]
fn keys_change_what_is_asked_and_how_it_is_shown() {
    let mut view = running();
    assert_eq!(view.question().flows, "sort=bytes&order=desc");
    assert_eq!(press(&mut view, "sr"), Next::Ask);
    assert_eq!(press(&mut view, "/tcp 443\n"), Next::Ask);
    assert_eq!(view.question().flows, "sort=packets&order=asc&protocol=tcp&port=443");
    assert_eq!(press(&mut view, "t"), Next::Ask);
    assert_eq!(view.question().talkers, "pairs");
    press(&mut view, "u");
    has(&drawn(&view, (80, 24), 89), &["500 kB/s", "by packets (least first), only tcp 443", "u bits"]);
    assert_eq!(press(&mut view, "/ colour=red\n"), Next::Show);
    has(&drawn(&view, (80, 24), 89), &["`colour` is no filter", "filter: tcp 443 colour=red"]);
    assert_eq!(press(&mut view, "q\x1b"), Next::Show);
    assert_eq!(view.filter, "tcp 443");
    press(&mut view, "?");
    has(&drawn(&view, (80, 24), 89), &["hold the picture", "talkers by hosts, pairs, ports"]);
    assert_eq!(press(&mut view, "xq"), Next::Quit);
    assert_eq!(view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Next::Quit);
}

#[test]
fn a_chosen_panel_can_have_all_the_room() {
    let mut view = running();
    press(&mut view, "\t\n");
    assert_eq!(view.panel, Panel::Tcp);
    let screen = drawn(&view, (80, 24), 89);
    has(&screen, &["► TCP health", "handshake p50/95/99", "nothing lost"]);
    assert!(!screen.contains("Top hosts"), "{screen}");
    press(&mut view, "\x1b");
    has(&drawn(&view, (80, 24), 89), &["Top hosts"]);
}

#[test]
fn without_colours_nothing_is_coloured() {
    let mut view = running();
    view.take(Ok(picture(90, &[interface("eth0", 5)])), seconds(90));
    let is_coloured = |colours| {
        let terminal = screen(&view, (80, 24), 90, colours);
        terminal.backend().buffer().content().iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(is_coloured(true));
    assert!(!is_coloured(false));
}

#[test]
fn a_busy_flow_table_leaves_the_flows_of_before() {
    let mut view = running();
    let mut next = picture(90, &[interface("eth0", 0)]);
    next.flows = None;
    view.take(Ok(next), seconds(90));
    has(&drawn(&view, (80, 24), 90), &["192.0.2.1:40000"]);
    let mut next = picture(91, &[]);
    next.flows = Some(Err("`x` is not allowed".into()));
    view.take(News::Ok(next), seconds(91));
    has(&drawn(&view, (80, 24), 91), &["`x` is not allowed", "no interface is monitored"]);
}

#[test]
fn control_characters_from_the_network_do_not_reach_the_terminal() {
    let mut view = View::new("x".into(), Kind::Daemon);
    view.take(Ok(picture(0, &[interface("e\x1b[2Jth\r0", 0)])), seconds(0));
    let screen = drawn(&view, (80, 24), 0);
    assert!(!screen.contains('\x1b') && !screen.contains('\r'), "{screen:?}");
}
