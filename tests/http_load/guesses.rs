//! Wrong passwords, many a second, beside a scraper that knows the right one.

use crate::client::{ADDRESSES, Answer, Scrapes, add_addresses, after, ask, connect, inside, scrape_each};
use crate::rig::{Wire, can_run, directory_for_all};
use crate::server::netmon;
use crate::times::Times;
use crate::{TOOLS, figure, short_or_soak};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Wrong passwords a second, from all addresses together.
const RATE: u32 = 500;
/// `prometheus:right`.
const RIGHT: &str = "Authorization: Basic cHJvbWV0aGV1czpyaWdodA==\r\n";

#[test]
fn a_flood_of_wrong_passwords_does_not_hold_up_who_knows_the_right_one() {
    if !can_run(TOOLS) {
        return;
    }
    // A check takes some 50 ms at the usual cost; without optimisation it would take a second and a half.
    let (seconds, cost) = short_or_soak((8, if cfg!(debug_assertions) { 5 } else { 10 }), (120, 10));
    let (wire, directory) = (Wire::new(), directory_for_all());
    add_addresses(&wire);
    let users = directory.path().join("web.yaml");
    let hash = bcrypt::hash("right", cost).expect("a hash");
    std::fs::write(&users, format!("basic_auth_users:\n  prometheus: {hash}\n")).expect("a file");
    let path = users.to_str().expect("it is text");
    let _netmon = netmon(&wire).set("api.web_config_file", path).start();
    let until = Instant::now() + Duration::from_secs(seconds);
    let flood = inside(&wire.generator, move || flood(until));
    // It is new here: its password must be checked too, behind those of the flood.
    std::thread::sleep(Duration::from_millis(500));
    let scraper =
        inside(&wire.generator, move || scrape_each(Duration::from_secs(1), &["/metrics"], RIGHT, after(until)));
    let Scrapes { times, failures } = scraper.join().expect("scraping does not panic");
    let (statuses, known, unknown) = flood.join().expect("the flood does not panic");
    figure("scrapes with the right password", format!("{times}, {failures:?}"));
    figure("wrong passwords", format!("{statuses:?} in {seconds} s"));
    figure("answered 401, known user", &known);
    figure("answered 401, unknown user", &unknown);
    assert_eq!(failures, [""; 0], "the right password is always right");
    assert!(times.p99() < Duration::from_secs(1), "{times}");
    assert!(statuses.keys().all(|status| [401, 429].contains(status)), "no guess is right: {statuses:?}");
    let count = |status| statuses.get(&status).copied().unwrap_or(0);
    let sent = u64::from(RATE) * seconds;
    assert!(count(401) + count(429) >= sent * 9 / 10, "{statuses:?} of {sent}");
    assert!(count(429) > count(401) * 10, "the flood is told to stop: {statuses:?}");
}

type Flood = (BTreeMap<u16, u64>, Times, Times);

/// Statuses, and the times until 401 for a known and an unknown user.
async fn flood(until: Instant) -> Flood {
    let mut guesses = JoinSet::new();
    let mut turn = tokio::time::interval(Duration::from_secs(1) / RATE);
    let (mut n, mut flood) = (0_usize, Flood::default());
    while Instant::now() < until {
        tokio::select! {
            biased;
            Some(guessed) = guesses.join_next() => note(&mut flood, guessed.expect("guessing does not panic")),
            _ = turn.tick() => {
                guesses.spawn(guess(ADDRESSES[n % ADDRESSES.len()], n));
                n += 1;
            }
        }
    }
    guesses.join_all().await.into_iter().for_each(|guessed| note(&mut flood, guessed));
    flood
}

/// Known users and unknown ones in turn, each with another password; the user's kind, the status and the time.
async fn guess(from: Ipv4Addr, n: usize) -> (bool, Option<u16>, Duration) {
    let is_known = (n / ADDRESSES.len()).is_multiple_of(2);
    let user = if is_known { "prometheus" } else { "prometheuz" };
    let header = format!("Authorization: Basic {}\r\n", base64(format!("{user}:wrong{n}").as_bytes()));
    let begun = Instant::now();
    let answer = async { ask(&mut connect(from, None).await?, "GET /metrics HTTP/1.1", &header).await };
    let status = answer.await.ok().map(|Answer { status, .. }| status);
    (is_known, status, begun.elapsed())
}

fn note(flood: &mut Flood, (is_known, status, took): (bool, Option<u16>, Duration)) {
    let Some(status) = status else { return };
    *flood.0.entry(status).or_default() += 1;
    if status == 401 {
        if is_known { &mut flood.1 } else { &mut flood.2 }.add(took);
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([&0; 2]).take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
