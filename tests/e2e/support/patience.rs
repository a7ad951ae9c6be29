//! Waiting with an end: every wait of these tests has a deadline and looks at something, none takes a time on trust.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; only a test that fails takes so long.
const LIMIT: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A wait that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    until: Instant,
}

impl Patience {
    #[expect(clippy::disallowed_methods, reason = "a test waits in the time of the machine")]
    pub(crate) fn begin() -> Patience {
        Patience { until: Instant::now() + LIMIT }
    }

    /// What is left of it; zero when it is over.
    #[expect(clippy::disallowed_methods, reason = "a test waits in the time of the machine")]
    pub(crate) fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// Looks until `look` finds something; panics with `what` and the last words of `look` where it never does.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let patience = Patience::begin();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(!patience.left().is_zero(), "{what}: not within {LIMIT:?}; {seen}"),
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// The first lines of what may be many.
pub(crate) fn some_of(lines: &[String]) -> String {
    const SHOWN: usize = 12;
    format!("{} lines, such as\n{}", lines.len(), lines[..lines.len().min(SHOWN)].join("\n"))
}
