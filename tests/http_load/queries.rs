//! Scrapes and pages of flows while a file is replayed as fast as it can be.

use crate::client::{GOOD, SERVER, Scrapes, connect, inside, scrape_each};
use crate::rig::sender::example;
use crate::rig::{Wire, can_run};
use crate::support::program::netmon;
use crate::support::running::{Running, wait_until};
use crate::times::Times;
use crate::{TOOLS, figure, short_or_soak};
use std::io::{PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Each at this interval, over a new connection.
const INTERVAL: Duration = Duration::from_secs(1);
const PAGE_OF_FLOWS: &str = "/api/v1/flows?limit=100";
/// No replay here takes nearly as long.
const LIMIT: Duration = Duration::from_secs(300);

/// What is replayed.
struct Load {
    packets: &'static str,
    flows: &'static str,
    /// Small captures in front of the large one, each with series of its own.
    small: u32,
    rounds: usize,
}

const SHORT: Load = Load { packets: "300000", flows: "20000", small: 2, rounds: 1 };
const LONG: Load = Load { packets: "20000000", flows: "1000000", small: 12, rounds: 7 };

#[test]
fn queries_are_answered_while_a_replay_goes_on_and_hardly_slow_it_down() {
    if !can_run(TOOLS) {
        return;
    }
    let load = short_or_soak(SHORT, LONG);
    let (wire, directory) = (Wire::new(), tempfile::tempdir().expect("a directory"));
    let files = captures(directory.path(), &load);
    let (mut alone, mut asked) = (Times::default(), Times::default());
    let mut answers = [Scrapes::default(), Scrapes::default()];
    for _ in 0..load.rounds {
        alone.add(replay(&wire, &files, None));
        asked.add(replay(&wire, &files, Some(&mut answers)));
    }
    let [pages, flows] = answers;
    let slower = asked.quantile(0.5).as_secs_f64() / alone.quantile(0.5).as_secs_f64() - 1.0;
    let beside = format!("beside a replay of {} frames of {} flows", load.packets, load.flows);
    figure(&format!("scrapes {beside}"), &pages.times);
    figure(&format!("pages of 100 flows {beside}"), &flows.times);
    figure("replays alone", &alone);
    figure("replays that are asked", format!("{asked}, {:.1} % slower", slower * 100.0));
    assert_eq!((&pages.failures[..], &flows.failures[..]), (&[][..], &[][..]), "every one is answered");
    // What a program without optimisation takes says little.
    if !cfg!(debug_assertions) {
        assert!(slower < 0.05, "{:.1} %", slower * 100.0);
        assert!(pages.times.p99() < Duration::from_millis(5), "{}", pages.times);
        assert!(flows.times.p99() < Duration::from_millis(50), "{}", flows.times);
    }
}

/// The small ones and then the large one.
fn captures(directory: &Path, load: &Load) -> Vec<PathBuf> {
    let generator = example("genflows");
    let write = |name: String, packets: &str, flows: &str| {
        let file = directory.join(name);
        let mut command = Command::new(&generator);
        let written = command.args(["--packets", packets, "--flows", flows, "--output"]).arg(&file).status();
        assert!(written.is_ok_and(|status| status.success()), "a capture is written");
        file
    };
    let small = (0..load.small).map(|n| write(format!("small{n}.pcap"), "1000", "100"));
    let mut files: Vec<PathBuf> = small.collect();
    files.push(write("large.pcap".into(), load.packets, load.flows));
    files
}

/// When the result was there.
type Over = Arc<OnceLock<Instant>>;

/// Replays as fast as it can be, asked or not; from the start until the result.
fn replay(wire: &Wire, files: &[PathBuf], answers: Option<&mut [Scrapes; 2]>) -> Duration {
    let (result, stdout) = std::io::pipe().expect("a pipe");
    let mut command = wire.monitor.command(netmon().get_program());
    command.args(["replay", "--serve", "--bind", SERVER, "--quiet", "--format", "json", "--flows", "1"]).args(files);
    let begun = Instant::now();
    let running = Running::start(command.stdout(stdout).stderr(Stdio::null()));
    // Its end of the pipe is the only one from here on.
    drop(command);
    let over = Over::default();
    let reading = read(result, Arc::clone(&over));
    let asking = answers.map(|answers| (ask_both(wire, &over), answers));
    let ended = wait_until("the replay to end", LIMIT, || over.get().copied());
    if let Some((asking, answers)) = asking {
        for (answers, asking) in answers.iter_mut().zip(asking) {
            let seen = asking.join().expect("asking does not panic");
            answers.times.extend(seen.times);
            answers.failures.extend(seen.failures);
        }
    }
    drop(running);
    reading.join().expect("reading does not panic");
    ended - begun
}

/// Reads the result, and notes when it began.
fn read(mut result: PipeReader, over: Over) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut block = [0; 4096];
        while result.read(&mut block).is_ok_and(|count| count > 0) {
            over.get_or_init(Instant::now);
        }
        over.get_or_init(Instant::now);
    })
}

/// Scrapes, and asks for flows, from when it serves until it is over.
fn ask_both(wire: &Wire, over: &Over) -> [JoinHandle<Scrapes>; 2] {
    ["/metrics", PAGE_OF_FLOWS].map(|path| {
        let over = Arc::clone(over);
        inside(&wire.generator, move || async move {
            while connect(GOOD, None).await.is_err() && over.get().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            scrape_each(INTERVAL, path, "", || over.get().is_some()).await
        })
    })
}
