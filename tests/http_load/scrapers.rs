//! Hundreds of scrapers at once, and readers that do not read.

use crate::client::{
    ADDRESSES, Scrapes, add_addresses, after, allow_many_descriptors, ask, connect, inside, scrape_each,
};
use crate::rig::ledger::Ledger;
use crate::rig::sender::Sender;
use crate::rig::{Wire, can_run};
use crate::server::{connections, netmon, written};
use crate::times::Times;
use crate::{TOOLS, figure, short_or_soak};
use netmon::http::{MAX_CONNECTIONS_PER_ADDRESS, PAGE_LIFETIME, WRITE_DEADLINE};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// Addresses of scrapers, each with as many as it may have; slow readers come from the others.
const SCRAPING: usize = 4;
const SLOW_OF_ONE: usize = 50;
/// Until all slow readers are cut: their sockets fill at once.
const CUT: Duration = Duration::from_secs(WRITE_DEADLINE.as_secs() + 3);

/// What scrapers ask with: both forms, with and without gzip, and some only for the head.
const REQUESTS: [(&str, &str); 5] = [
    ("GET", "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n"),
    ("GET", "Accept: text/plain\r\nAccept-Encoding: gzip\r\n"),
    ("GET", "Accept: application/openmetrics-text;version=1.0.0\r\n"),
    ("GET", "Accept: text/plain\r\n"),
    ("HEAD", "Accept-Encoding: gzip\r\n"),
];

#[test]
fn hundreds_of_scrapers_share_ten_pages_a_second_and_cost_no_frame() {
    if !can_run(TOOLS) {
        return;
    }
    let (seconds, rate) = short_or_soak((CUT.as_secs(), "5000"), (120, "100000"));
    allow_many_descriptors();
    let wire = Wire::new();
    add_addresses(&wire);
    let netmon = netmon(&wire).start();
    let before = Ledger::now(&wire);
    let sender = Sender::start(&wire, &["--rate", rate]);
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let slow = inside(&wire.generator, move || slow_readers(until));
    let scrapers = inside(&wire.generator, move || scrapers(until));
    let prober = inside(&wire.generator, move || scrape_each(Duration::from_secs(1), &["/metrics"], "", after(until)));
    std::thread::sleep(CUT.saturating_sub(begun.elapsed()));
    let open = connections(&netmon, &wire.monitor);
    let left: usize = ADDRESSES[SCRAPING..].iter().filter_map(|from| open.get(&written(*from))).sum();
    let seen = scrapers.join().expect("scrapers do not panic");
    let slow = slow.join().expect("slow readers do not panic");
    let Scrapes { times, failures } = prober.join().expect("scraping does not panic");
    sender.stop();
    let ledger = Ledger::settled(&wire, &before);
    let pages = seen.pages();
    figure("answers to 256 scrapers", format!("{:?} in {seconds} s, {}", seen.statuses, seen.times));
    figure("pages rendered a second, by form", format!("{pages:?}"));
    figure("one more scraper beside them", format!("{times}, {failures:?}"));
    figure("slow readers", format!("{slow} began, {left} left after {CUT:?}"));
    figure("frames beside scrapers", format!("{ledger:?}"));
    let most = 1.0 / PAGE_LIFETIME.as_secs_f64();
    assert!(pages.iter().all(|rate| (0.0..=most + 0.5).contains(rate)), "{pages:?}");
    assert!(seen.statuses.keys().all(|status| [200, 503].contains(status)), "{:?}", seen.statuses);
    assert!(seen.statuses.get(&503).is_some_and(|count| *count > 0), "those above the cap are refused");
    assert_eq!((slow, left), (SLOW_OF_ONE * (ADDRESSES.len() - SCRAPING), 0), "slow readers are cut off");
    assert_eq!(failures, [""; 0], "one from another address is always answered");
    assert_eq!((ledger.missing(), ledger.dropped), (0.0, 0.0), "{ledger:?}");
}

/// What scrapers saw, together.
#[derive(Default)]
struct Seen {
    statuses: BTreeMap<u16, usize>,
    times: Times,
    /// Last eight bytes of compressed pages, by form: checksum and length of what is inside.
    pages: [BTreeSet<Vec<u8>>; 2],
    took: Duration,
}

impl Seen {
    #[expect(clippy::cast_precision_loss, reason = "few pages")]
    fn pages(&self) -> [f64; 2] {
        [0, 1].map(|form| self.pages[form].len() as f64 / self.took.as_secs_f64())
    }
}

/// As many as all addresses may have, and one more of each.
async fn scrapers(until: Instant) -> Seen {
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for n in 0..SCRAPING * (MAX_CONNECTIONS_PER_ADDRESS + 1) {
        clients.spawn(scraper(ADDRESSES[n % SCRAPING], n / SCRAPING % REQUESTS.len(), until));
    }
    let mut all = Seen::default();
    for seen in clients.join_all().await {
        seen.statuses.iter().for_each(|(status, count)| *all.statuses.entry(*status).or_default() += count);
        all.times.extend(seen.times);
        all.pages.iter_mut().zip(seen.pages).for_each(|(all, mut own)| all.append(&mut own));
    }
    all.took = begun.elapsed();
    all
}

/// Asks again as soon as it is answered, over the same connection as long as that holds.
async fn scraper(from: Ipv4Addr, kind: usize, until: Instant) -> Seen {
    let (method, headers) = REQUESTS[kind];
    let mut seen = Seen::default();
    while Instant::now() < until {
        let Ok(mut stream) = connect(from, None).await else { continue };
        while Instant::now() < until {
            let begun = Instant::now();
            let Ok(answer) = ask(&mut stream, &format!("{method} /metrics HTTP/1.1"), headers).await else { break };
            *seen.statuses.entry(answer.status).or_default() += 1;
            if answer.status != 200 {
                break;
            }
            seen.times.add(begun.elapsed());
            if kind < 2 {
                seen.pages[kind].insert(answer.body[answer.body.len() - 8..].to_vec());
            }
        }
        // Whoever was refused comes back later, as the answer says.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    seen
}

/// Each asks for fifty pages and reads a byte a second; how many got so far.
async fn slow_readers(until: Instant) -> usize {
    let mut clients = JoinSet::new();
    for n in 0..SLOW_OF_ONE * (ADDRESSES.len() - SCRAPING) {
        clients.spawn(slow_reader(ADDRESSES[SCRAPING + n % (ADDRESSES.len() - SCRAPING)], until));
    }
    clients.join_all().await.into_iter().filter(|began| *began).count()
}

async fn slow_reader(from: Ipv4Addr, until: Instant) -> bool {
    let Ok(mut stream) = connect(from, Some(2048)).await else { return false };
    let asks = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    if stream.write_all(asks.as_bytes()).await.is_err() {
        return false;
    }
    let mut began = false;
    while Instant::now() < until && stream.read_u8().await.is_ok() {
        began = true;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    began
}
