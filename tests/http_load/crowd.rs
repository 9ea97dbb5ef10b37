//! Thousands of connections that want nothing.

use crate::client::{
    ADDRESSES, Scrapes, add_addresses, after, allow_many_descriptors, connect, end_of, inside, pause, scrape_each,
    wait_for_the_end,
};
use crate::rig::ledger::Ledger;
use crate::rig::process::Process;
use crate::rig::sender::Sender;
use crate::rig::{Wire, can_run};
use crate::server::{Watch, connections, netmon, written};
use crate::times::Times;
use crate::{TOOLS, figure, short_or_soak};
use netmon::http::{MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_REFUSALS};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

/// Of each kind: some send a byte every 10 s, others nothing.
const EACH: usize = 2_000;
/// The deadline for a request's head, and some time to be scheduled.
const CLOSED: Duration = Duration::from_secs(15);
/// Beyond the places: refused ones that hear why, and one that comes or gives way at each of the two listeners.
const PASSING: usize = MAX_REFUSALS + 2;

#[test]
fn a_scraper_gets_through_a_crowd_that_dribbles_or_is_silent() {
    if !can_run(TOOLS) {
        return;
    }
    let (seconds, interval, rate) = short_or_soak((16, 100, "5000"), (300, 1000, "100000"));
    allow_many_descriptors();
    let wire = Wire::new();
    add_addresses(&wire);
    let netmon = netmon(&wire).start();
    let (before, held) = (Ledger::now(&wire), Process(netmon.id()).descriptors());
    let sender = Sender::start(&wire, &["--rate", rate]);
    let until = Instant::now() + Duration::from_secs(seconds);
    let descriptors = Watch::descriptors(&netmon);
    let crowd = inside(&wire.generator, move || crowd(until));
    let scraper =
        inside(&wire.generator, move || scrape_each(Duration::from_millis(interval), &["/metrics"], "", after(until)));
    let mut most = 0;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(250));
        let open = connections(&netmon, &wire.monitor);
        most = most.max(ADDRESSES.iter().filter_map(|from| open.get(&written(*from)).copied()).max().unwrap_or(0));
    }
    let Scrapes { times, failures } = scraper.join().expect("scraping does not panic");
    let descriptors = descriptors.most();
    let lives = crowd.join().expect("the crowd does not panic");
    sender.stop();
    let ledger = Ledger::settled(&wire, &before);
    figure("scrapes through a crowd of 4000", format!("{times}, {} failed", failures.len()));
    figure(
        "connections of the crowd",
        format!("lived {lives}; at most {most} of one address, {descriptors} descriptors"),
    );
    figure("frames beside the crowd", format!("{ledger:?}"));
    assert_eq!(failures, [""; 0], "every scrape is answered");
    assert!(times.p99() < Duration::from_millis(250), "{times}");
    assert!(lives.quantile(1.0) < CLOSED, "{lives}");
    assert!(most <= MAX_CONNECTIONS_PER_ADDRESS + PASSING, "{most} of one address");
    assert!(descriptors <= held + MAX_CONNECTIONS + PASSING, "{descriptors} descriptors, {held} at rest");
    assert_eq!((ledger.missing(), ledger.dropped), (0.0, 0.0), "{ledger:?}");
}

/// All of them, each coming back when it was closed; how long connections lived.
async fn crowd(until: Instant) -> Times {
    let (lives, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for n in 0..2 * EACH {
        let (from, dribbles) = (ADDRESSES[n % ADDRESSES.len()], (n / ADDRESSES.len()).is_multiple_of(2));
        clients.spawn(one(from, dribbles, n, lives.clone()));
    }
    tokio::time::sleep_until(until.into()).await;
    let mut all = Times::default();
    while let Ok(life) = ended.try_recv() {
        all.add(life);
    }
    all
}

/// Comes within the first two seconds, stays until it is closed, comes again after five, and so on.
async fn one(from: Ipv4Addr, dribbles: bool, n: usize, lives: UnboundedSender<Duration>) {
    tokio::time::sleep(Duration::from_micros(500) * u32::try_from(n).unwrap_or(0)).await;
    loop {
        if let Ok(mut stream) = connect(from, None).await {
            let life =
                async { if dribbles { dribble(&mut stream).await } else { wait_for_the_end(&mut stream).await } };
            let life = tokio::time::timeout(CLOSED, life).await.unwrap_or(CLOSED);
            // Whoever counts them is there until all clients are gone.
            let _ = lives.send(life);
        }
        pause(5).await;
    }
}

/// Sends a byte every 10 s until the server ends the connection; how long that took.
async fn dribble(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    let (mut reading, mut writing) = stream.split();
    let dribbling = async {
        while writing.write_all(b"G").await.is_ok() {
            pause(10).await;
        }
    };
    tokio::select! {
        () = dribbling => {}
        () = end_of(&mut reading) => {}
    }
    begun.elapsed()
}
