//! A terminal that tells what is on it: tmux with a shell in it, on a socket of its own.

use crate::rig::{Namespace, tool};
use crate::support::running::{poll, wait_until};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The built program.
pub const NETMON: &str = env!("CARGO_BIN_EXE_netmon");
/// How long anything may take to appear.
const LIMIT: Duration = Duration::from_secs(30);

/// Gone with everything in it when it goes out of scope.
pub struct Terminal {
    tmux: PathBuf,
    directory: TempDir,
}

impl Terminal {
    /// With so many columns and rows, and a shell in the namespace.
    pub fn start(namespace: Option<&Namespace>, size: (u16, u16)) -> Self {
        let terminal = Self { tmux: tool("tmux").expect("there is tmux"), directory: TempDir::new().unwrap() };
        std::fs::create_dir(terminal.temporary()).unwrap();
        let [width, height] = [size.0, size.1].map(|of| of.to_string());
        let mut command = match namespace {
            Some(namespace) => namespace.command(&terminal.tmux),
            None => Command::new(&terminal.tmux),
        };
        command.arg("-S").arg(terminal.directory.path().join("tmux")).args([
            "-f",
            "/dev/null",
            "-u",
            "new-session",
            "-d",
        ]);
        command.args(["-x", &width, "-y", &height, "env", "PS1=$ ", "LC_ALL=C.UTF-8", "sh"]);
        command.env("TMPDIR", terminal.temporary()).env_remove("NO_COLOR").env("TERM", "xterm-256color");
        let status = command.current_dir(terminal.directory.path()).stdin(Stdio::null()).status().unwrap();
        assert!(status.success(), "tmux starts");
        terminal.shows(&["$"]);
        terminal
    }

    fn temporary(&self) -> PathBuf {
        self.directory.path().join("temporary")
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.tmux);
        let output =
            command.arg("-S").arg(self.directory.path().join("tmux")).arg("-u").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is on it.
    pub fn screen(&self) -> String {
        self.tell(&["capture-pane", "-p"])
    }

    /// Waits until all of these are on it at once.
    #[track_caller]
    pub fn shows(&self, all: &[&str]) {
        let has = |screen: &String| all.iter().all(|words| screen.contains(words));
        let screen = poll(LIMIT, || self.screen(), has);
        assert!(has(&screen), "waited for {all:?} on\n{screen}");
    }

    /// Leaves what is on it, with colours, where it can be looked at.
    pub fn keep(&self, name: &str) {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.ansi"));
        std::fs::write(file, self.tell(&["capture-pane", "-p", "-e"])).unwrap();
    }

    /// A key by its name, or text.
    pub fn press(&self, key: &str) {
        self.tell(&["send-keys", key]);
    }

    /// A command for the shell, on a cleared screen.
    pub fn enter(&self, command: &str) {
        self.tell(&["send-keys", "-l", &format!("clear; {command}")]);
        self.press("Enter");
    }

    pub fn resize(&self, (width, height): (u16, u16)) {
        self.tell(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Whether a program has put its own screen in place of the shell's.
    pub fn is_taken_over(&self) -> bool {
        self.tell(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }

    /// The settings of the line: echo, line editing, signals, and the rest.
    pub fn settings(&self) -> String {
        let file = self.directory.path().join("settings");
        let _ = std::fs::remove_file(&file);
        self.enter("stty -a > settings.new; mv settings.new settings");
        wait_until("the settings of the terminal", LIMIT, || std::fs::read_to_string(&file).ok())
    }

    /// Asserts that it is as it was.
    #[track_caller]
    pub fn is_given_back(&self, before: &str) {
        assert!(!self.is_taken_over(), "the alternate screen is gone");
        assert_eq!(self.tell(&["display-message", "-p", "#{cursor_flag}"]).trim(), "1", "the cursor is there");
        assert_eq!(self.settings(), before);
    }

    /// The terminal goes away under the program in it.
    pub fn close(&self) {
        self.tell(&["kill-session"]);
    }

    /// What was written to `pid`.
    pub fn pid(&self) -> i32 {
        std::fs::read_to_string(self.directory.path().join("pid")).unwrap().trim().parse().unwrap()
    }

    /// Files that programs left in the temporary directory.
    pub fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.temporary()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new(&self.tmux);
        let _ = command.arg("-S").arg(self.directory.path().join("tmux")).arg("kill-server").status();
    }
}
