//! The lines a program writes, as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};

use super::Patience;

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

/// One stream of a program, read on a thread of its own.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Written>, Condvar)>);

impl Log {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Log {
        let log = Log::default();
        let writer = log.clone();
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.read(stream))
            .expect("a thread can be started");
        log
    }

    fn read(&self, stream: impl Read) {
        let (written, changed) = &*self.0;
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            written.lock().unwrap().lines.push(String::from_utf8_lossy(&line).into_owned());
            changed.notify_all();
        }
        written.lock().unwrap().ended = true;
        changed.notify_all();
    }

    /// The first line with `text` in it, when it comes; what was written instead where the stream ends before.
    pub(crate) fn line_with(&self, text: &str) -> Result<String, String> {
        let found = self.wait(|written| {
            let line = written.lines.iter().find(|line| line.contains(text)).cloned();
            if line.is_some() || written.ended { Some(line) } else { None }
        });
        found.flatten().ok_or_else(|| format!("no line with {text:?} in:\n{}", self.text()))
    }

    /// Whether the stream ended in time.
    pub(crate) fn ends(&self) -> bool {
        self.wait(|written| written.ended.then_some(())).is_some()
    }

    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.join("\n")
    }

    fn wait<T>(&self, look: impl Fn(&Written) -> Option<T>) -> Option<T> {
        let patience = Patience::begin();
        let (written, changed) = &*self.0;
        let mut guard = written.lock().unwrap();
        loop {
            if let Some(found) = look(&guard) {
                return Some(found);
            }
            let left = patience.left();
            if left.is_zero() {
                return None;
            }
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
    }
}
