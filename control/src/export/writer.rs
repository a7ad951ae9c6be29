//! Destinations on this machine: a file of OTLP/JSON lines, and readable text on standard output.
//!
//! A batch is handed to the operating system in one write before it counts as delivered, so nothing is buffered here.
//! Writing happens on a thread for blocking work: a full pipe or a hanging disk holds back its own destination only.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::settings::SettingError;
use super::transport::{Answer, Batch, Sending, Transport};

/// Writes batches, whole or not at all where that can be had.
pub(super) trait Sink: Send + 'static {
    fn write(&mut self, batch: &Batch) -> io::Result<()>;
}

/// A destination that is written to.
pub(super) struct WriterTransport<S> {
    sink: Arc<Mutex<S>>,
}

impl<S: Sink> WriterTransport<S> {
    fn new(sink: S) -> WriterTransport<S> {
        WriterTransport { sink: Arc::new(Mutex::new(sink)) }
    }
}

impl<S: Sink> Transport for WriterTransport<S> {
    fn send(&mut self, batch: Batch) -> Sending<'_> {
        let sink = Arc::clone(&self.sink);
        let written = tokio::task::spawn_blocking(move || {
            sink.lock().unwrap_or_else(PoisonError::into_inner).write(&batch)
        });
        Box::pin(async move {
            match written.await {
                Ok(Ok(())) => Answer::Delivered,
                Ok(Err(error)) if may_pass(&error) => Answer::retry(error.to_string()),
                Ok(Err(error)) => Answer::Refused(error.to_string()),
                Err(error) => Answer::Refused(error.to_string()),
            }
        })
    }
}

/// Room may be made on a full disk; a closed pipe stays closed.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WouldBlock | ErrorKind::TimedOut
    )
}

/// One request a line.
pub(super) struct LineFile {
    file: File,
    /// Bytes of whole lines written; `None` for pipes and devices, which cannot be cut back.
    whole: Option<u64>,
}

/// Creates the file, or empties it: the same replay gives the same file.
pub(super) fn file(path: &Path) -> Result<WriterTransport<LineFile>, SettingError> {
    let wrong = |error: io::Error| {
        let expected = format!("give a file that can be written ({error})");
        SettingError::new("export", format!("file:{}", path.display()), expected)
    };
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path).map_err(wrong)?;
    let is_regular = file.metadata().map_err(wrong)?.is_file();
    Ok(WriterTransport::new(LineFile { file, whole: is_regular.then_some(0) }))
}

impl Sink for LineFile {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let written = self.file.write_all(&batch.body).and_then(|()| self.file.write_all(b"\n"));
        let Some(whole) = self.whole else {
            return written;
        };
        match written {
            Ok(()) => self.whole = Some(whole + batch.body.len() as u64 + 1),
            // A retry must not leave half a line before the whole one.
            Err(_) => {
                self.file.set_len(whole)?;
                self.file.seek(SeekFrom::Start(whole))?;
            }
        }
        written
    }
}

/// Text as it comes.
pub(super) struct TextWriter<W>(W);

/// Standard output.
pub(super) fn stdout() -> WriterTransport<TextWriter<io::Stdout>> {
    WriterTransport::new(TextWriter(io::stdout()))
}

impl<W: Write + Send + 'static> Sink for TextWriter<W> {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.0.write_all(&batch.body)?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_write_left_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans.jsonl");
        std::fs::write(&path, "{}\n{\"half").unwrap();
        // Opened for reading only: every write fails, and so does cutting back.
        let mut read_only = LineFile { file: File::open(&path).unwrap(), whole: Some(3) };
        let batch = Batch { body: "{}".into(), spans: 1 };
        assert!(read_only.write(&batch).is_err());

        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(3).unwrap();
        let mut line_file = LineFile { file, whole: Some(3) };
        line_file.file.seek(SeekFrom::End(0)).unwrap();
        line_file.write(&batch).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n{}\n");
    }

    #[test]
    fn text_reaches_the_writer_whole() {
        let mut sink = TextWriter(Vec::new());
        sink.write(&Batch { body: "a flow\n".into(), spans: 1 }).unwrap();
        assert_eq!(sink.0, b"a flow\n");
    }
}
