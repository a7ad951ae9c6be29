//! Ctrl-C and SIGTERM: the first one drains, the second one ends the program at once.

use std::process;

use crossbeam::channel::Sender;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::live::Event;

/// Added to a signal's number for the exit code of a program it ended, as shells have it.
const SIGNAL_EXIT: i32 = 128;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Both signals, listened to from the moment this is made.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to listen; call inside a runtime.
    pub(super) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Reports the first signal; never returns from the second.
    pub(super) async fn serve(mut self, events: Sender<Event>) {
        let name = self.next().await.0;
        // Only fails where the program is ending already.
        let _ = events.send(Event::Signal(name));
        let (name, number) = self.next().await;
        eprintln!("tapspan: {name} again: stopped at once, what was not exported is lost");
        process::exit(SIGNAL_EXIT + number);
    }

    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.interrupt.recv() => ("SIGINT", SIGINT),
            _ = self.terminate.recv() => ("SIGTERM", SIGTERM),
        }
    }
}
