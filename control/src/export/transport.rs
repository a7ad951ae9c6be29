//! The seam to a destination: bytes of one encoded request in, one answer out.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

/// One encoded request. The bytes are final: a retry sends the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The encoded `ExportTraceServiceRequest`, compressed where the settings say so, or text.
    pub body: Bytes,
    /// Spans in it.
    pub spans: u64,
}

/// What became of one attempt to send a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it was taken.
    Delivered,
    /// Taken, with a word from the receiver: it kept all but `rejected` spans, possibly all.
    Partial {
        /// Spans it did not keep.
        rejected: u64,
        /// What it said about them.
        message: String,
    },
    /// It will never be taken; sending it again is of no use.
    Refused(String),
    /// It may be taken later.
    Retry {
        /// The least time to wait, where the receiver said one.
        after: Option<Duration>,
        /// What went wrong.
        reason: String,
    },
}

impl Answer {
    /// A failure that may pass, with no wish from the receiver about when.
    pub fn retry(reason: impl Into<String>) -> Answer {
        Answer::Retry { after: None, reason: reason.into() }
    }

    /// What went wrong, or what the receiver had to say.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Answer::Delivered => None,
            Answer::Partial { message, .. } => Some(message),
            Answer::Refused(reason) | Answer::Retry { reason, .. } => Some(reason),
        }
    }
}

/// The answer to come.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// The end of the preparations to come.
pub type Preparing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A way to a destination. Makes one attempt a call, bounded in time where a network is involved; retrying, counting and
/// logging are the caller's.
pub trait Transport: Send {
    /// Does beforehand what the first batch would have to wait for. Called once, before any is sent.
    fn prepare(&mut self) -> Preparing<'_> {
        Box::pin(std::future::ready(()))
    }

    /// Sends `batch` once. Dropping the future abandons the attempt, whether or not the receiver has it already.
    fn send(&mut self, batch: Batch) -> Sending<'_>;

    /// Another way to the same destination, on which a batch can be under way at the same time; `None` where batches go one
    /// after the other, as into a file.
    fn another(&self) -> Option<Box<dyn Transport>> {
        None
    }
}

/// `error` with everything it was caused by, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Wrappers tend to repeat what they wrap.
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
