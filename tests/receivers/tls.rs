//! A certificate authority that lives as long as a test, and servers with its certificates.

use crate::server::{Recorded, Server, read_request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// An authority in a directory.
pub struct Authority(tempfile::TempDir);

impl Authority {
    pub fn new() -> Self {
        let authority = Self(tempfile::tempdir().expect("a directory can be made"));
        let directory = authority.0.path();
        std::fs::write(directory.join("ca.cnf"), CONFIG).expect("a file can be written");
        std::fs::write(directory.join("index.txt"), "").expect("a file can be written");
        std::fs::write(directory.join("serial"), "01").expect("a file can be written");
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        openssl(
            directory,
            &[
                &["req", "-x509"][..],
                &key,
                &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "30"],
            ]
            .concat(),
        );
        openssl(
            directory,
            &[&["req"][..], &key, &["-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=server"]].concat(),
        );
        authority
    }

    /// What to trust.
    pub fn file(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// A certificate for `name` (`DNS:localhost`), valid from one day of 2020 to the end of `until` (`20200102`).
    fn certificate(&self, name: &str, until: &str) -> Arc<ServerConfig> {
        let directory = self.0.path();
        std::fs::write(directory.join("names"), format!("subjectAltName={name}")).expect("a file can be written");
        let out = format!("{until}.pem");
        let until = format!("{until}235959Z");
        let dates = ["-startdate", "20200101000000Z", "-enddate", &until];
        let files = ["-config", "ca.cnf", "-in", "request.pem", "-out", &out, "-extfile", "names"];
        openssl(directory, &[&["ca", "-batch", "-notext"][..], &dates, &files].concat());
        let chain = CertificateDer::pem_file_iter(directory.join(&out)).expect("there is a certificate");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("it is one");
        let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).expect("there is a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.expect("there are versions").with_no_client_auth().with_single_cert(chain, key);
        Arc::new(config.expect("key and certificate belong together"))
    }

    /// A server that answers 200 with such a certificate.
    pub fn server(&self, name: &str, until: &str) -> Server {
        let config = self.certificate(name, until);
        Server::accept(Ipv4Addr::LOCALHOST.into(), move |stream, requests| secure(stream, &config, requests))
    }
}

fn secure(stream: TcpStream, config: &Arc<ServerConfig>, requests: &Mutex<Vec<Recorded>>) {
    let connection = ServerConnection::new(Arc::clone(config)).expect("the configuration is whole");
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(request) = read_request(&mut reader) {
        requests.lock().expect("no test fails while it holds this").push(request);
        if reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const CONFIG: &str = "\
[ca]
default_ca = authority
[authority]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
";
