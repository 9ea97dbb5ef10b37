//! How far a frame has been read, and why reading ended.

use super::{Frame, Layer, Reason, Reject};

/// Why no further header could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The snapshot length cut the header that comes next; it was there on the wire.
    Cut,
    /// The header cannot be right.
    Bad(Reject),
}

impl Stop {
    /// A bad header. Never inlined, so that the compiler takes the way to it for the unlikely one.
    #[cold]
    #[inline(never)]
    pub(super) const fn bad(layer: Layer, reason: Reason) -> Self {
        Self::Bad(Reject::new(layer, reason))
    }

    /// The reject, when it is one.
    pub(super) const fn reject(self) -> Option<Reject> {
        match self {
            Self::Cut => None,
            Self::Bad(reject) => Some(reject),
        }
    }
}

/// The part of a frame, or of the IP packet in it, that is not read yet; the next header is at its front.
///
/// It knows both lengths, the captured and the real one, so that a header that was cut by the snapshot length is told
/// from one that was never there. No arithmetic here can fail: what is not there is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread<'a> {
    /// Captured bytes.
    pub(super) bytes: &'a [u8],
    /// Bytes on the wire.
    pub(super) wire_len: u32,
    /// Headers read so far.
    depth: u8,
}

impl<'a> Unread<'a> {
    /// The most headers read of a frame where their number is the sender's choice (tags, labels, IPv6 extensions).
    const MAX_DEPTH: u8 = 16;

    /// All of a frame.
    pub(super) const fn of(frame: &Frame<'a>) -> Self {
        Self { bytes: frame.bytes, wire_len: frame.meta.wire_len, depth: 0 }
    }

    /// A header of `N` bytes and what is behind it.
    ///
    /// # Errors
    /// As [`Unread::missing`] when it is not wholly captured.
    #[inline]
    pub(super) fn chunk<const N: usize>(self, layer: Layer) -> Result<(&'a [u8; N], Self), Stop> {
        match self.bytes.first_chunk() {
            Some(header) => Ok((header, self.skip(N))),
            None => Err(self.missing(N, layer)),
        }
    }

    /// A header of `N` bytes as a `pnet_packet` view, and what is behind it.
    ///
    /// The view never sees more than its fixed header: whatever its accessors do, they stay inside.
    ///
    /// # Errors
    /// As [`Unread::missing`] when it is not wholly captured.
    #[inline]
    pub(super) fn view<const N: usize, V>(
        self,
        view: impl Fn(&'a [u8]) -> Option<V>,
        layer: Layer,
    ) -> Result<(V, Self), Stop> {
        let (header, rest) = self.chunk::<N>(layer)?;
        view(header).map(|view| (view, rest)).ok_or_else(|| Stop::bad(layer, Reason::Short))
    }

    /// What is behind `len` bytes, captured or not.
    #[inline]
    pub(super) fn skip(self, len: usize) -> Self {
        Self {
            bytes: self.bytes.get(len..).unwrap_or_default(),
            wire_len: self.wire_len.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX)),
            depth: self.depth.saturating_add(1),
        }
    }

    /// The first `wire_len` bytes, as a length field says; padding and trailers behind them are gone.
    #[inline]
    pub(super) fn limit(self, wire_len: u32) -> Self {
        let bytes = self.bytes.get(..wire_len as usize).unwrap_or(self.bytes);
        Self { bytes, wire_len, depth: self.depth }
    }

    /// Why the next `needed` bytes cannot be read: cut, when they were on the wire, else `layer` is too short.
    #[cold]
    #[inline(never)]
    pub(super) fn missing(self, needed: usize, layer: Layer) -> Stop {
        if self.wire_len as usize >= needed { Stop::Cut } else { Stop::bad(layer, Reason::Short) }
    }

    /// Refuses to go on in a frame that nests deeper than any real one.
    ///
    /// # Errors
    /// `unsupported` of `layer` when [`Unread::MAX_DEPTH`] headers were read.
    #[inline]
    pub(super) fn check_depth(self, layer: Layer) -> Result<(), Stop> {
        if self.depth >= Self::MAX_DEPTH { Err(Stop::bad(layer, Reason::Unsupported)) } else { Ok(()) }
    }
}
