//! What receivers that misbehave do with a request.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// What a receiver does with a request that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Accept,
    Fail,
    /// With so many seconds in `Retry-After`.
    Limit(u64),
    /// The connection is reset after the body was read.
    Reset,
    /// Nothing is answered.
    Hang,
}

/// Numbers that look random and are the same on every run.
pub fn scattered(n: u64) -> u64 {
    let mixed = (n ^ (n >> 30)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 16
}

/// 40 % accepted, 30 % failed, and 10 % each limited, reset after the body, never answered.
pub fn flaky(n: u64) -> Fate {
    match scattered(n) % 10 {
        0..4 => Fate::Accept,
        4..7 => Fate::Fail,
        7 => Fate::Limit(1 + scattered(n + 77) % 5),
        8 => Fate::Reset,
        _ => Fate::Hang,
    }
}

/// Does it.
pub fn answer(mut stream: &TcpStream, fate: Fate) -> std::io::Result<()> {
    let head = match fate {
        Fate::Accept => "200 OK".to_owned(),
        Fate::Fail => "500 Internal Server Error".to_owned(),
        Fate::Limit(seconds) => format!("429 Too Many Requests\r\nRetry-After: {seconds}"),
        Fate::Reset => return reset(stream),
        Fate::Hang => {
            std::thread::sleep(Duration::from_secs(60));
            return Ok(());
        }
    };
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n")
}

/// Closes without waiting for anything, which the other side sees as a reset.
fn reset(stream: &TcpStream) -> std::io::Result<()> {
    #[cfg(unix)]
    nix::sys::socket::setsockopt(
        stream,
        nix::sys::socket::sockopt::Linger,
        &nix::libc::linger { l_onoff: 1, l_linger: 0 },
    )?;
    stream.shutdown(std::net::Shutdown::Both)
}
