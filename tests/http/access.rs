//! Users, tokens and TLS.

use crate::client::{Answer, Server, request, sources};
use netmon::http::{Access, Bind, Config, Control, Health, Known, Rooms, Sources};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// `prometheus` with the password `right`, at the least cost.
fn users() -> String {
    format!("basic_auth_users:\n  prometheus: {}\n", bcrypt::hash("right", 4).unwrap())
}

fn config(directory: &Path, web: &str, token: bool, control: Control) -> Config {
    let [web_file, token_file] = ["web.yaml", "token"].map(|name| directory.join(name));
    std::fs::write(&web_file, web).unwrap();
    std::fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let given = |is: bool, file: PathBuf| is.then_some(file);
    let (token_file, web_config_file) = (given(token, token_file), given(!web.is_empty(), web_file));
    Config { bind: vec![everywhere()], control, token_file, web_config_file, ..Config::default() }
}

fn everywhere() -> Bind {
    Bind::Tcp(([0, 0, 0, 0], 0).into())
}

async fn served(config: &Config) -> Server {
    let access = Access::default();
    access.set(Known::load(config).unwrap());
    let control = |_| Ok(serde_json::json!({}));
    let rooms = Rooms { control: Some(Box::new(control)), ..Rooms::default() };
    Server::with(Sources { access, rooms, ..sources(Arc::default(), Health::new()) }, everywhere()).await
}

async fn reload(server: &Server, authorization: &str) -> Answer {
    let authorization =
        if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    let headers = format!("Host: 127.0.0.1\r\nContent-Type: application/json\r\n{authorization}");
    server.send("POST", "/api/v1/reload", &headers, "").await
}

#[tokio::test]
async fn others_may_read_and_change_nothing_without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let open = served(&config(directory.path(), "", false, Control::Auto)).await;
    let refused = reload(&open, "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.json()["detail"].as_str().unwrap().contains("api.auth.token_file"));
    assert_eq!(open.ask("GET", "/api/v1/status", "Host: 127.0.0.1\r\n").await.status, 200);
    open.stop().await;
    let closed = served(&config(directory.path(), "", true, Control::Auto)).await;
    let asked = reload(&closed, "").await;
    assert_eq!((asked.status, asked.header("www-authenticate").contains("Bearer")), (401, true));
    assert_eq!(reload(&closed, &format!("Bearer {TOKEN}")).await.status, 200);
    assert_eq!(reload(&closed, &format!("Bearer {TOKEN}x")).await.status, 401);
    assert_eq!(reload(&closed, "Bearer").await.status, 401);
    closed.stop().await;
}

#[tokio::test]
async fn with_users_everything_but_the_probes_needs_one() {
    let directory = tempfile::tempdir().unwrap();
    let server = served(&config(directory.path(), &users(), false, Control::Auto)).await;
    for path in ["/", "/metrics", "/api/v1/status", "/api/v1/stream", "/nothing"] {
        assert_eq!(server.ask("GET", path, "Host: 127.0.0.1\r\n").await.status, 401, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let right = "Authorization: Basic cHJvbWV0aGV1czpyaWdodA==\r\n";
    assert_eq!(server.ask("GET", "/metrics", right).await.status, 200);
    assert_eq!(reload(&server, "Basic cHJvbWV0aGV1czpyaWdodA==").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_refused_and_the_scraper_gets_through() {
    let directory = tempfile::tempdir().unwrap();
    let server = served(&config(directory.path(), &users(), false, Control::Auto)).await;
    let right = "Authorization: Basic cHJvbWV0aGV1czpyaWdodA==\r\n";
    assert_eq!(server.ask("GET", "/metrics", right).await.status, 200);
    let (mut wrong, mut refused) = (0, 0);
    for n in 0..300 {
        // prometheus:wrong, nobody:right
        let guess = if n % 2 == 0 { "cHJvbWV0aGV1czp3cm9uZw==" } else { "bm9ib2R5OnJpZ2h0" };
        match server.ask("GET", "/metrics", &format!("Authorization: Basic {guess}\r\n")).await.status {
            401 => wrong += 1,
            429 => refused += 1,
            other => panic!("{other}"),
        }
        if n % 10 == 0 {
            assert_eq!(server.ask("GET", "/metrics", right).await.status, 200, "after {n}");
        }
    }
    assert!(wrong <= 40 && refused >= 260, "{wrong} were checked, {refused} were not");
    server.stop().await;
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let good = config(path, "", true, Control::On);
    assert!(Known::load(&good).is_ok());
    let nobody = Known::load(&config(path, "", false, Control::On)).unwrap_err();
    assert!(nobody.to_string().contains("nobody could be known") && nobody.hint().is_some());
    let local = Config { bind: vec![Bind::Unix("/run/netmon.sock".into())], ..config(path, "", false, Control::On) };
    assert!(Known::load(&local).is_ok(), "on this machine everybody is");
    std::fs::write(path.join("token"), "short\n").unwrap();
    let weak = Known::load(&good).unwrap_err().to_string();
    assert!(weak.contains("has 5 characters, allowed are 16 to 1024"), "{weak}");
    std::fs::remove_file(path.join("token")).unwrap();
    assert!(Known::load(&good).unwrap_err().hint().unwrap().contains("chown"));
}

/// A certificate for `localhost` that signs itself; nothing without openssl.
fn certificate(directory: &Path, serial: &str) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-set_serial", serial])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "server.key", "-out", "server.crt"])
        .current_dir(directory)
        .output();
    made.is_ok_and(|made| made.status.success())
}

async fn over_tls(server: &Server, certificate: &Path) -> Result<(u16, Vec<u8>), std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await?;
    let serial = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    Ok((request(&mut stream, "GET", "/metrics", "").await.status, serial))
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    if !certificate(directory.path(), "1") {
        assert!(std::env::var_os("TEST_REQUIRE_ALL").is_none(), "nothing may be skipped, but this test needs openssl");
        eprintln!("skipped: needs openssl");
        return;
    }
    let web = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  min_version: TLS13\n";
    let server = served(&config(directory.path(), web, false, Control::Auto)).await;
    let file = directory.path().join("server.crt");
    let (status, first) = over_tls(&server, &file).await.unwrap();
    assert_eq!(status, 200);
    let plain = tokio::time::timeout(Duration::from_secs(5), async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    });
    assert!(!plain.await.unwrap().starts_with(b"HTTP"), "no data without TLS");

    assert!(certificate(directory.path(), "2"));
    #[expect(clippy::disallowed_methods, reason = "a deadline for what happens outside of the test")]
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        match over_tls(&server, &file).await {
            Ok((200, newer)) if newer != first => break,
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
        #[expect(clippy::disallowed_methods, reason = "a deadline for what happens outside of the test")]
        let now = Instant::now();
        assert!(now < deadline, "the new certificate is not used");
    }
    server.stop().await;
}
