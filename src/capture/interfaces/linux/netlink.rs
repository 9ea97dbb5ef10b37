//! A socket of the kernel's route family, rtnetlink(7): for questions and their answers, or for news.
//!
//! One socket does one of the two, so that an answer and news never mix. Only what the kernel itself sent is taken.

use super::super::CaptureError;
use super::message::Request;
use netlink_packet_core::{
    DecodeError, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_ALIGNTO, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, parse_i32,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, send, socket,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// The kernel fills at most 32 KiB of a dump at a time.
const BUFFER: usize = 32 << 10;
/// The kernel answers while it is asked; waiting at all is for a kernel that does not.
const ANSWER: Duration = Duration::from_secs(1);
/// Messages taken at a time; those behind them are taken at the next look.
const TAKEN: usize = 4096;

/// Why the kernel's answer is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("rtnetlink socket: {}", .0.desc())]
    Socket(#[from] Errno),
    #[error("the kernel refused: {}", .0.desc())]
    Refused(Errno),
    #[error("the kernel did not answer within {} s", ANSWER.as_secs())]
    NoAnswer,
    #[error("the kernel's answer is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

impl From<Fault> for CaptureError {
    fn from(fault: Fault) -> Self {
        Self::ListInterfaces { message: fault.to_string() }
    }
}

/// Non-blocking, closed on exec.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Needs no privilege. `groups` are the kinds of news it is told, as a mask of `RTMGRP_`; 0 is a socket to ask with.
    pub(super) fn open(groups: u32) -> Result<Self, Fault> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Hands each message of the answer, by its type, to `take`. False: the interfaces changed in the middle of it, so it
    /// may lack some or have some twice.
    pub(super) fn ask(&mut self, request: &Request<'_>, mut take: impl FnMut(u16, &[u8])) -> Result<bool, Fault> {
        // The rest of an answer that was given up; the kernel begins no dump before the last one is taken away.
        self.discard()?;
        self.sequence = self.sequence.wrapping_add(1);
        send(self.fd.as_raw_fd(), &request.bytes(self.sequence), MsgFlags::empty())?;
        let mut whole = true;
        loop {
            let length = self.answer()?;
            for message in Messages(&self.buffer[..length]) {
                let message = message?;
                if message.sequence_number() != self.sequence {
                    continue;
                }
                whole &= message.flags() & NLM_F_DUMP_INTR == 0;
                match message.message_type() {
                    NLMSG_DONE | NLMSG_ERROR => return outcome(message.payload()).map(|()| whole),
                    kind => take(kind, message.payload()),
                }
                if message.flags() & NLM_F_MULTIPART == 0 {
                    return Ok(whole);
                }
            }
        }
    }

    /// Takes away what waits. News that did not fit into the socket (ENOBUFS) are lost, which is news, too.
    pub(super) fn discard(&mut self) -> Result<(), Fault> {
        for _ in 0..TAKEN {
            match self.receive() {
                Ok(Some(_)) | Err(Errno::ENOBUFS) => {}
                Ok(None) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether something waits, or came within `wait`; a signal ends the wait.
    pub(super) fn is_readable(&self, wait: Duration) -> Result<bool, Fault> {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn answer(&mut self) -> Result<usize, Fault> {
        if let Some(length) = self.receive()? {
            return Ok(length);
        }
        self.is_readable(ANSWER)?;
        self.receive()?.ok_or(Fault::NoAnswer)
    }

    /// Length of the next datagram, now in the buffer; `None` where none waits.
    fn receive(&mut self) -> Result<Option<usize>, Errno> {
        const KERNEL: u32 = 0;
        loop {
            match recvfrom::<NetlinkAddr>(self.fd.as_raw_fd(), &mut self.buffer) {
                Ok((length, Some(sender))) if sender.pid() == KERNEL => return Ok(Some(length)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the end of a dump and an error message begin with: a negative error number, or 0 for none.
fn outcome(payload: &[u8]) -> Result<(), Fault> {
    let Some(Ok(number)) = payload.get(..4).map(parse_i32) else { return Ok(()) };
    if number == 0 { Ok(()) } else { Err(Fault::Refused(Errno::from_raw(number.wrapping_neg()))) }
}

/// The messages of a datagram; ends at the first one that is cut short.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Result<NetlinkBuffer<&'a [u8]>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(self.0);
        let length = message.as_ref().map_or(usize::MAX, |message| message.length() as usize);
        let step = length.checked_next_multiple_of(usize::from(NLMSG_ALIGNTO));
        self.0 = step.and_then(|step| self.0.get(step..)).unwrap_or_default();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refusal_is_the_systems_error_and_a_good_end_is_none() {
        assert!(outcome(&0i32.to_ne_bytes()).is_ok() && outcome(&[]).is_ok());
        let refusal = outcome(&(-19i32).to_ne_bytes()).unwrap_err();
        assert_eq!(
            CaptureError::from(refusal).to_string(),
            "cannot list interfaces: the kernel refused: No such device"
        );
        assert!(outcome(&i32::MIN.to_ne_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_datagram_ends(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0u32..64) {
            let lengths = Messages(&bytes).map(|message| message.map_or(0, |message| message.payload().len()));
            prop_assert!(lengths.sum::<usize>() <= bytes.len());
            let started: Vec<u8> = length.to_ne_bytes().into_iter().chain(bytes).collect();
            prop_assert!(Messages(&started).count() <= started.len());
        }
    }
}
