//! Which files are taken for secrets.

use crate::messages::Secrets;
use crate::rig::can_run;
use netmon::notify::secret::{Credential, Source, Surroundings};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

/// Any that is not root.
const SOMEBODY: u32 = 1234;
const NETMON: u32 = 4321;

/// The verdict on a file: its secret, or what is said, with the hint.
fn verdict(path: &Path) -> Result<String, String> {
    let around = Surroundings { user: Some(NETMON), ..Surroundings::of_process() };
    match Credential::open(&Source::File(path.to_owned()), around) {
        Ok(credential) => Ok(credential.current().expose().to_owned()),
        Err(error) => Err(format!("{error}: {}", error.hint().unwrap_or_default())),
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Eight kinds of files, by name, with a part of the message where they are refused.
fn files(secrets: &Secrets) -> [(&'static str, Option<&'static str>); 8] {
    for (name, mode) in [("0600", 0o600), ("0640", 0o640), ("0644", 0o644), ("owner", 0o600), ("target", 0o600)] {
        secrets.file(name, "canary");
        set_mode(&secrets.path(name), mode);
    }
    chown(secrets.path("owner"), Some(SOMEBODY), None).unwrap();
    symlink(secrets.path("target"), secrets.path("link")).unwrap();
    fs::hard_link(secrets.path("target"), secrets.path("hard")).unwrap();
    let open = secrets.path("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("secret"), "canary").unwrap();
    set_mode(&open.join("secret"), 0o600);
    set_mode(&open, 0o777);
    nix::unistd::mkfifo(&secrets.path("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    [
        ("0600", None),
        ("0640", None),
        ("0644", Some("has mode 0644, allowed none for others and no writing for the group: `chmod 600 ")),
        ("owner", Some("belongs to user 1234, allowed root and the user that netmon runs as: `chown root ")),
        ("link", None),
        ("hard", None),
        ("open/secret", Some("has mode 0777, allowed no writing for others: `chmod o-w ")),
        ("pipe", Some("is no regular file")),
    ]
}

#[test]
fn the_right_files_are_taken_for_secrets_whatever_the_umask() {
    if !can_run(&[]) {
        return;
    }
    if std::env::var_os(IN_A_CHILD).is_some() {
        return judge_all();
    }
    // The umask is of the whole process, and other tests run in this one.
    for umask in ["000", "022", "077"] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
        shell.args(["--exact", "secrets::the_right_files_are_taken_for_secrets_whatever_the_umask"]);
        let output = shell.env(IN_A_CHILD, "yes").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "with umask {umask}: {said}");
    }
}

const IN_A_CHILD: &str = "TEST_SECRETS_IN_A_CHILD";

fn judge_all() {
    let secrets = Secrets::new();
    for (name, refusal) in files(&secrets) {
        match (verdict(&secrets.path(name)), refusal) {
            (Ok(secret), None) => assert_eq!(secret, "canary"),
            (Err(message), Some(part)) => {
                let file = name.trim_end_matches("/secret");
                assert!(message.contains(part) && message.contains(file), "{name}: {message}");
                assert!(!message.contains("canary"), "{message}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn links_are_judged_by_where_they_lead_and_by_who_made_them() {
    if !can_run(&[]) {
        return;
    }
    let secrets = Secrets::new();
    let files = files(&secrets);
    symlink(secrets.path("0644"), secrets.path("to-0644")).unwrap();
    symlink(secrets.path("open/secret"), secrets.path("to-open")).unwrap();
    symlink(secrets.path("0600"), secrets.path("of-somebody")).unwrap();
    std::os::unix::fs::lchown(secrets.path("of-somebody"), Some(SOMEBODY), None).unwrap();
    chown(secrets.path("owner"), Some(NETMON), None).unwrap();
    for (name, part) in
        [("to-0644", "mode 0644"), ("to-open", "mode 0777"), ("of-somebody", "user 1234"), ("none", "cannot read")]
    {
        assert!(verdict(&secrets.path(name)).unwrap_err().contains(part), "{name}");
    }
    assert_eq!(verdict(&secrets.path("owner")).as_deref(), Ok("canary"), "the user that netmon becomes may own it");
    set_mode(&secrets.path("open"), 0o1777);
    assert!(verdict(&secrets.path("open/secret")).is_ok(), "in a sticky directory only the owner replaces a file");
    assert_eq!(files.len(), 8);
}

#[test]
fn what_is_no_line_of_text_is_no_secret() {
    let secrets = Secrets::new();
    for (text, part) in [("", "is empty"), ("a\nb", "more than one line"), ("a\u{1b}b", "control characters")] {
        secrets.file("secret", text);
        let message = verdict(&secrets.path("secret")).unwrap_err();
        assert!(message.contains(part), "{message}");
    }
    secrets.file("secret", &"x".repeat(70_000));
    assert!(verdict(&secrets.path("secret")).unwrap_err().contains("more than 64 KiB"));
}
