//! What Windows says through the console in place of signals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};

/// Sets the flag at the first of Ctrl-C, Ctrl-Break, a closed console and a shutdown; the second one ends the process at
/// once with code 1.
///
/// # Errors
/// The system takes no handler for them, or gives no thread to wait in.
pub(super) fn on_stop(flag: &Arc<AtomicBool>) -> io::Result<()> {
    let (mut events, flag) = (Events::listen()?, Arc::clone(flag));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let waiting = move || {
        runtime.block_on(async {
            events.next().await;
            flag.store(true, Ordering::SeqCst);
            events.next().await;
        });
        std::process::exit(1);
    };
    std::thread::Builder::new().name("console".into()).spawn(waiting).map(drop)
}

/// Of the last two the process is ended when the handler returns, so theirs waits; the system's patience is some seconds.
struct Events {
    c: CtrlC,
    brk: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Events {
    fn listen() -> io::Result<Self> {
        Ok(Self { c: ctrl_c()?, brk: ctrl_break()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.c.recv() => {}
            _ = self.brk.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}
