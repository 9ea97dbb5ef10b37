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

/// What is asked while a replay goes on, each over new connections, and the p99 that is allowed.
const QUESTIONS: [(&str, &[&str], Duration); 3] = [
    ("scrapes", &["/metrics"], Duration::from_millis(5)),
    ("pictures", &["/api/v1/interfaces", "/api/v1/status", "/api/v1/talkers"], Duration::from_millis(5)),
    (
        "pages of 100 flows",
        &[
            "/api/v1/flows?limit=100",
            "/api/v1/flows?limit=100&protocol=tcp&sort=packets",
            "/api/v1/flows?limit=100&host=10.0.0.0/8&port=443&sort=duration",
            "/api/v1/flows?limit=100&state=open&sort=last_seen&order=asc",
        ],
        Duration::from_millis(50),
    ),
];
/// As a scraper and a page ask: this must hardly slow a replay down.
const USUAL: Duration = Duration::from_secs(1);
/// Often, to have enough times for a 99th percentile.
const OFTEN: Duration = Duration::from_millis(100);
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
const LONG: Load = Load { packets: "20000000", flows: "1000000", small: 12, rounds: 9 };

/// By [`QUESTIONS`].
type Answers = [Scrapes; QUESTIONS.len()];

#[test]
fn queries_are_answered_while_a_replay_goes_on_and_hardly_slow_it_down() {
    if !can_run(TOOLS) {
        return;
    }
    let load = short_or_soak(SHORT, LONG);
    let (wire, directory) = (Wire::new(), tempfile::tempdir().expect("a directory"));
    let files = captures(directory.path(), &load);
    let (mut alone, mut asked, mut slower) = (Times::default(), Times::default(), Vec::new());
    let mut answers = Answers::default();
    for _ in 0..load.rounds {
        let pair = [replay(&wire, &files, None), replay(&wire, &files, Some((USUAL, &mut answers)))];
        alone.add(pair[0]);
        asked.add(pair[1]);
        slower.push(pair[1].as_secs_f64() / pair[0].as_secs_f64() - 1.0);
        replay(&wire, &files, Some((OFTEN, &mut answers)));
    }
    slower.sort_by(f64::total_cmp);
    let slower = slower[slower.len() / 2];
    for ((what, ..), seen) in QUESTIONS.iter().zip(&answers) {
        figure(&format!("{what} beside a replay of {} frames of {} flows", load.packets, load.flows), &seen.times);
        assert_eq!(seen.failures, [""; 0], "every one of {what} is answered");
    }
    figure("replays alone", &alone);
    figure("replays that are asked each second", format!("{asked}, {:.1} % slower by pairs", slower * 100.0));
    // What a program without optimisation takes says little.
    if !cfg!(debug_assertions) {
        assert!(slower < 0.05, "{:.1} %", slower * 100.0);
        for ((what, _, most), seen) in QUESTIONS.iter().zip(&answers) {
            assert!(seen.times.p99() < *most, "{what}: {}", seen.times);
        }
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

/// Replays as fast as it can be, asked at an interval or not; from the start until the result.
fn replay(wire: &Wire, files: &[PathBuf], asked: Option<(Duration, &mut Answers)>) -> Duration {
    let (result, stdout) = std::io::pipe().expect("a pipe");
    let mut command = wire.monitor.command(netmon().get_program());
    command.args(["replay", "--serve", "--bind", SERVER, "--quiet", "--format", "json", "--flows", "1"]).args(files);
    let begun = Instant::now();
    let running = Running::start(command.stdout(stdout).stderr(Stdio::null()));
    // Its end of the pipe is the only one from here on.
    drop(command);
    let over = Over::default();
    let reading = read(result, Arc::clone(&over));
    let asking = asked.map(|(interval, answers)| (ask_all(wire, interval, &over), answers));
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

/// Asks all [`QUESTIONS`] from when it serves until it is over. Who asks is on another machine in life: it does not wait for a
/// processor here.
fn ask_all(wire: &Wire, interval: Duration, over: &Over) -> [JoinHandle<Scrapes>; QUESTIONS.len()] {
    QUESTIONS.map(|(_, paths, _)| {
        let over = Arc::clone(over);
        inside(&wire.generator, move || async move {
            let thread = nix::unistd::gettid().to_string();
            let raised = Command::new("renice").args(["-n", "-10", "-p", &thread]).stdout(Stdio::null()).status();
            assert!(raised.is_ok_and(|status| status.success()), "root may raise it");
            while connect(GOOD, None).await.is_err() && over.get().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            scrape_each(interval, paths, "", || over.get().is_some()).await
        })
    })
}
