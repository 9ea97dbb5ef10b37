//! Receivers that record what they are told, and answer as a test wants.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Recorded {
    /// The value of a header that has to be there once.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let value = values.next().unwrap_or_else(|| panic!("there is no header {name}: {self:?}"));
        assert!(values.next().is_none(), "header {name} comes twice");
        &value.1
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// What a server does with a request; whether it goes on with the connection.
pub type Behaviour = Arc<dyn Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync>;

/// A server on a port of its own, gone when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Recorded>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub fn start(behaviour: impl Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), behaviour)
    }

    pub fn start_on(
        address: IpAddr,
        behaviour: impl Fn(&Recorded, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let behaviour: Behaviour = Arc::new(behaviour);
        Self::accept(address, move |stream, requests| serve(stream, requests, &behaviour))
    }

    /// Answers everything with a status, and headers that end in line breaks.
    pub fn answering(status: &'static str, headers: &'static str) -> Self {
        Self::start(move |_, stream| {
            let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).is_ok()
        })
    }

    /// Does with each connection what `handle` does.
    pub fn accept(address: IpAddr, handle: impl Fn(TcpStream, &Mutex<Vec<Recorded>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port is free");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            connections: Arc::default(),
            requests: Arc::default(),
            stopped: Arc::default(),
        };
        let (connections, requests, stopped) =
            (Arc::clone(&server.connections), Arc::clone(&server.requests), Arc::clone(&server.stopped));
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let (handle, requests) = (Arc::clone(&handle), Arc::clone(&requests));
                thread::spawn(move || handle(stream, &requests));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Connections that came so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().expect("no test fails while it holds this").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, requests: &Mutex<Vec<Recorded>>, behaviour: &Behaviour) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    while let Some(request) = read_request(&mut reader) {
        requests.lock().expect("no test fails while it holds this").push(request.clone());
        if !behaviour(&request, &mut stream) {
            return;
        }
    }
}

/// Reads one request, strictly: what is not HTTP/1.1 with a length fails the test's thread.
pub fn read_request(reader: &mut impl BufRead) -> Option<Recorded> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let mut parts = line.trim_end().split(' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().expect("a length is a number"))];
    reader.read_exact(&mut body).ok()?;
    Some(Recorded { method, target, headers, body })
}
