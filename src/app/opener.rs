//! Opens what interfaces are captured with, before privileges are given up and after.

use crate::capture::interfaces::Interface;
use crate::capture::{Backend, CaptureError, Config, LiveAdapter, PcapAdapter};
use crate::packet::{InterfaceId, Linktype};

#[cfg(target_os = "linux")]
use crate::capture::{Compiler, RawSocketAdapter, Spares};
#[cfg(target_os = "linux")]
use std::sync::Arc;

/// What captures one interface: an adapter for each ring.
pub(super) type Adapters = Vec<Box<dyn LiveAdapter>>;

/// Opens adapters by the configuration.
///
/// On Linux packet sockets are opened ahead: with them interfaces that come later, or come back, are captured by
/// AF_PACKET rings without any privilege, whatever the backend.
pub(super) struct Opener {
    config: Config,
    #[cfg(target_os = "linux")]
    spares: Spares,
    #[cfg(target_os = "linux")]
    compiler: Arc<Compiler>,
    /// Whether libpcap can still open a handle.
    may_open: bool,
}

impl Opener {
    /// Opens what is needed later, with the privilege to do so.
    ///
    /// # Errors
    /// What is missing to capture at all.
    pub(super) fn new(config: &Config) -> Result<Self, CaptureError> {
        Ok(Self {
            config: config.clone(),
            #[cfg(target_os = "linux")]
            spares: Spares::open(config.spares)?,
            #[cfg(target_os = "linux")]
            compiler: Arc::new(Compiler::open()),
            may_open: true,
        })
    }

    /// From now on nothing can be opened that needs a privilege.
    pub(super) fn give_up(&mut self) {
        self.may_open = false;
    }

    /// Filters of adapters that are opened from now on.
    pub(super) fn set_filter(&mut self, expression: Option<&str>) {
        self.config.bpf = expression.map(str::to_owned);
    }

    /// What captures, as configured.
    pub(super) fn backend(&self) -> &'static str {
        match self.config.backend {
            Backend::Pcap => "libpcap",
            Backend::Raw => "af_packet",
        }
    }

    /// Rings of each interface.
    pub(super) fn rings(&self) -> usize {
        match self.config.backend {
            Backend::Pcap => 1,
            Backend::Raw => self.config.rings,
        }
    }

    /// Whether a filter compiles for frames of a link type, as this machine captures them.
    ///
    /// # Errors
    /// [`CaptureError::Filter`].
    pub(super) fn check(&self, expression: &str, linktype: Linktype) -> Result<(), CaptureError> {
        #[cfg(target_os = "linux")]
        self.compiler.compile(expression, linktype)?;
        #[cfg(not(target_os = "linux"))]
        crate::capture::Filter::compile(expression, linktype)?;
        Ok(())
    }

    /// Opens an interface, down or up.
    ///
    /// # Errors
    /// Why it cannot be captured.
    #[cfg(target_os = "linux")]
    pub(super) fn open(&self, interface: &Interface, id: InterfaceId) -> Result<Adapters, CaptureError> {
        // libpcap opens no handle on an interface that is down.
        if self.config.backend == Backend::Pcap && self.may_open && interface.up {
            match PcapAdapter::open(&interface.name, id, &self.config) {
                Err(_) if !is_up_now(&interface.name) => {}
                opened => return Ok(vec![Box::new(opened?)]),
            }
        }
        let (spares, compiler) = (&self.spares, &self.compiler);
        let rings = RawSocketAdapter::open_fanout(interface, id, &self.config, spares, compiler, self.rings())?;
        Ok(rings.into_iter().map(|ring| Box::new(ring) as Box<dyn LiveAdapter>).collect())
    }

    /// Opens an interface.
    ///
    /// # Errors
    /// Why it cannot be captured.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(&self, interface: &Interface, id: InterfaceId) -> Result<Adapters, CaptureError> {
        if !self.may_open && cfg!(unix) {
            return Err(CaptureError::NoPrivilegeLeft { interface: interface.name.clone() });
        }
        Ok(vec![Box::new(PcapAdapter::open(&interface.name, id, &self.config)?)])
    }
}

/// Whether an interface is up at this moment: it may have gone down since it was looked at.
#[cfg(target_os = "linux")]
fn is_up_now(name: &str) -> bool {
    let list = crate::capture::interfaces::list().unwrap_or_default();
    list.iter().any(|interface| interface.name == name && interface.up)
}
