//! Destinations on this machine: a file of OTLP/JSON lines, and readable text on standard output.
//!
//! A batch is handed to the operating system in one write before it counts as delivered, so nothing is buffered here.
//! Writing happens on a thread for blocking work: a full pipe or a hanging disk holds back its own destination only.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::settings::SettingError;
use super::transport::{Answer, Batch, Preparing, Sending, Transport};

/// Writes batches, whole or not at all where that can be had.
pub(super) trait Sink: Send + 'static {
    /// Does what can be done before the first batch; what fails is tried again and told with that.
    fn prepare(&mut self) {}
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

    /// Has the sink do `work` on a thread for blocking work.
    fn apart<R: Send + 'static>(&self, work: impl FnOnce(&mut S) -> R + Send + 'static) -> JoinHandle<R> {
        let sink = Arc::clone(&self.sink);
        tokio::task::spawn_blocking(move || work(&mut sink.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl<S: Sink> Transport for WriterTransport<S> {
    fn prepare(&mut self) -> Preparing<'_> {
        let prepared = self.apart(Sink::prepare);
        // A panic is told with the first batch.
        Box::pin(async move { drop(prepared.await) })
    }

    fn send(&mut self, batch: Batch) -> Sending<'_> {
        let written = self.apart(move |sink| sink.write(&batch));
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
    /// Whether it still holds what was there before. Giving back the room of a large file takes a tenth of a second, which the
    /// thread that cuts records need not wait for.
    is_stale: bool,
    /// Bytes of whole lines written; `None` for pipes and devices, which cannot be cut back.
    whole: Option<u64>,
}

/// Creates the file, or opens it to be emptied before anything else: the same replay gives the same file.
pub(super) fn file(path: &Path) -> Result<WriterTransport<LineFile>, SettingError> {
    let wrong = |error: io::Error| {
        let expected = format!("give a file that can be written ({error})");
        SettingError::new("export", format!("file:{}", path.display()), expected)
    };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    let is_regular = metadata.is_file();
    let is_stale = is_regular && metadata.len() > 0;
    Ok(WriterTransport::new(LineFile { file, is_stale, whole: is_regular.then_some(0) }))
}

impl LineFile {
    fn empty(&mut self) -> io::Result<()> {
        if self.is_stale {
            self.file.set_len(0)?;
            self.is_stale = false;
        }
        Ok(())
    }
}

/// A file is empty also where no span ever came.
impl Drop for LineFile {
    fn drop(&mut self) {
        if let Err(error) = self.empty() {
            tracing::error!(%error, "a file of spans cannot be emptied");
        }
    }
}

impl Sink for LineFile {
    fn prepare(&mut self) {
        // The first write tries again, and its error is told.
        let _ = self.empty();
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.empty()?;
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
        let mut read_only = LineFile { file: File::open(&path).unwrap(), is_stale: false, whole: Some(3) };
        let batch = Batch { body: "{}".into(), spans: 1 };
        assert!(read_only.write(&batch).is_err());

        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(3).unwrap();
        let mut line_file = LineFile { file, is_stale: false, whole: Some(3) };
        line_file.file.seek(SeekFrom::End(0)).unwrap();
        line_file.write(&batch).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n{}\n");
    }

    #[tokio::test]
    async fn what_a_file_held_before_is_gone_with_the_first_batch_or_without_any() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans.jsonl");
        for batches in 0..2 {
            std::fs::write(&path, "{\"resourceSpans\":[]}\n").unwrap();
            let mut transport = file(&path).unwrap();
            for _ in 0..batches {
                let answer = transport.send(Batch { body: "{}".into(), spans: 1 }).await;
                assert_eq!(answer, Answer::Delivered);
            }
            drop(transport);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n".repeat(batches));
        }
        std::fs::write(&path, "{}\n").unwrap();
        let mut transport = file(&path).unwrap();
        transport.prepare().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn text_reaches_the_writer_whole() {
        let mut sink = TextWriter(Vec::new());
        sink.write(&Batch { body: "a flow\n".into(), spans: 1 }).unwrap();
        assert_eq!(sink.0, b"a flow\n");
    }
}
