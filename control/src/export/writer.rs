//! Destinations on this machine: a file of OTLP requests, and readable text on standard output.
//!
//! A batch is handed to the operating system before it counts as delivered, so nothing is buffered here.
//! Writing happens on a thread for blocking work: a full pipe or a hanging disk holds back its own destination only.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::settings::{FileFormat, SettingError};
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

/// One request after the other: JSON with a line end, protobuf behind its length in four octets, big-endian, both as the
/// Collector's file exporter writes them.
pub(super) struct RequestFile {
    file: File,
    format: FileFormat,
    /// Whether it still holds what was there before. Giving back the room of a large file takes a tenth of a second, which the
    /// thread that cuts records need not wait for.
    is_stale: bool,
    /// Bytes of whole requests written; `None` for pipes and devices, which cannot be cut back.
    whole: Option<u64>,
}

/// Creates the file, or opens it to be emptied before anything else: the same replay gives the same file.
pub(super) fn file(path: &Path, format: FileFormat) -> Result<WriterTransport<RequestFile>, SettingError> {
    let wrong = |error: io::Error| {
        let expected = format!("give a file that can be written ({error})");
        SettingError::new("export", format!("file:{}", path.display()), expected)
    };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(wrong)?;
    let metadata = file.metadata().map_err(wrong)?;
    let is_regular = metadata.is_file();
    let is_stale = is_regular && metadata.len() > 0;
    Ok(WriterTransport::new(RequestFile { file, format, is_stale, whole: is_regular.then_some(0) }))
}

impl RequestFile {
    fn empty(&mut self) -> io::Result<()> {
        if self.is_stale {
            self.file.set_len(0)?;
            self.is_stale = false;
        }
        Ok(())
    }

    /// Writes a request; gives how many octets it takes.
    fn append(&mut self, body: &[u8]) -> io::Result<u64> {
        let length;
        let (before, after): (&[u8], &[u8]) = match self.format {
            FileFormat::Json => (&[], b"\n"),
            FileFormat::Protobuf => {
                length = u32::try_from(body.len()).map_err(io::Error::other)?.to_be_bytes();
                (&length, &[])
            }
        };
        for part in [before, body, after] {
            self.file.write_all(part)?;
        }
        Ok((before.len() + body.len() + after.len()) as u64)
    }
}

/// A file is empty also where no span ever came.
impl Drop for RequestFile {
    fn drop(&mut self) {
        if let Err(error) = self.empty() {
            tracing::error!(%error, "a file of spans cannot be emptied");
        }
    }
}

impl Sink for RequestFile {
    fn prepare(&mut self) {
        // The first write tries again, and its error is told.
        let _ = self.empty();
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        self.empty()?;
        let written = self.append(&batch.body);
        if let Some(whole) = &mut self.whole {
            match &written {
                Ok(octets) => *whole += octets,
                // A retry must not leave half a request before the whole one.
                Err(_) => {
                    self.file.set_len(*whole)?;
                    self.file.seek(SeekFrom::Start(*whole))?;
                }
            }
        }
        written.map(drop)
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
        let path = directory.path().join("spans");
        for (format, request) in
            [(FileFormat::Json, b"{}\n".as_slice()), (FileFormat::Protobuf, b"\0\0\0\x02{}".as_slice())]
        {
            std::fs::write(&path, [request, &request[..2]].concat()).unwrap();
            let whole = request.len() as u64;
            let request_file = |file| RequestFile { file, format, is_stale: false, whole: Some(whole) };
            // Opened for reading only: every write fails, and so does cutting back.
            let mut read_only = request_file(File::open(&path).unwrap());
            let batch = Batch { body: "{}".into(), spans: 1 };
            assert!(read_only.write(&batch).is_err());

            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(whole).unwrap();
            let mut writable = request_file(file);
            writable.file.seek(SeekFrom::End(0)).unwrap();
            writable.write(&batch).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), request.repeat(2));
            assert_eq!(writable.whole, Some(2 * whole));
        }
    }

    #[tokio::test]
    async fn what_a_file_held_before_is_gone_with_the_first_batch_or_without_any() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spans.jsonl");
        for batches in 0..2 {
            std::fs::write(&path, "{\"resourceSpans\":[]}\n").unwrap();
            let mut transport = file(&path, FileFormat::Json).unwrap();
            for _ in 0..batches {
                let answer = transport.send(Batch { body: "{}".into(), spans: 1 }).await;
                assert_eq!(answer, Answer::Delivered);
            }
            drop(transport);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n".repeat(batches));
        }
        std::fs::write(&path, "{}\n").unwrap();
        let mut transport = file(&path, FileFormat::Json).unwrap();
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
