//! How long it takes from the first frame over a threshold to the receiver.

use crate::SOON;
use crate::fate::Fate;
use crate::hook::{Hook, Told};
use crate::place::Place;
use crate::rig::{GENERATOR, MONITOR, Wire, can_run};
use crate::support::running::wait_until;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);
const ROUNDS: usize = 20;

#[test]
fn a_receiver_hears_of_it_within_the_window_and_a_second() {
    if !can_run(&["ip", "curl"]) {
        return;
    }
    let wire = Wire::new();
    let place = Place::new(&wire);
    let hook = Hook::start(&wire.monitor, |_| Fate::Accept);
    place.configure(&format!(
        "alerts:
  - {{name: Heavy, metric: receive_bytes_per_second, window: 1s, above: 1000, for: 0s, notify: [hook]}}
receivers:
  - {{name: hook, webhook: {{url: '{}'}}, group_wait: 0s, group_interval: 0s}}
",
        hook.url()
    ));
    let _netmon = place.start();
    let bind = |address: &str| UdpSocket::bind(address).expect("a port");
    let _sink = wire.monitor.inside(|| bind(&format!("{MONITOR}:7099")));
    let sender = wire.generator.inside(|| bind(&format!("{GENERATOR}:0")));
    // The neighbour is asked for before time counts; this is below the threshold.
    sender.send_to(&[0; 10], format!("{MONITOR}:7099")).expect("the wire is there");
    std::thread::sleep(WINDOW);

    let mut took: Vec<Duration> = (0..ROUNDS).map(|round| fire(&hook, &sender, round)).collect();
    took.sort();
    let [median, worst] = [took[ROUNDS / 2], took[ROUNDS - 1]].map(|took| took.as_millis());
    println!("figure: first frame to webhook, window 1 s, {ROUNDS} rounds: median {median} ms, worst {worst} ms");
    assert!(took[ROUNDS - 1] <= WINDOW + Duration::from_secs(1), "{took:?}");
}

/// One frame over the threshold, at another place in its tick each time; when the message was there.
#[expect(clippy::disallowed_methods, reason = "measures what people wait for")]
fn fire(hook: &Hook, sender: &UdpSocket, round: usize) -> Duration {
    std::thread::sleep(Duration::from_millis(37 * round as u64 % 100));
    let told = |count: usize| wait_until("the message", SOON, || hook.told("Heavy").get(count - 1).cloned());
    let sent = Instant::now();
    sender.send_to(&[0; 1200], format!("{MONITOR}:7099")).expect("the wire is there");
    let Told { at, status, .. } = told(2 * round + 1);
    assert_eq!(status, "firing");
    assert_eq!(told(2 * round + 2).status, "resolved");
    at - sent
}
