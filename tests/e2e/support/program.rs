//! The program under test, and others it works with: started, listened to, stopped, and never left behind.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::log::Log;
use super::{Endpoint, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tapspan");

/// A program that is killed when this goes, or when the thread that started it does.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdout: Log,
    pub(crate) stderr: Log,
}

impl Running {
    /// Starts `program` so that it dies with the calling thread.
    pub(crate) fn start(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Log::of(child.stdout.take().expect("it is piped"));
        let stderr = Log::of(child.stderr.take().expect("it is piped"));
        Running { child, stdout, stderr }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -s {name} {id}");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        assert!(self.stdout.ends() && self.stderr.ends(), "it does not end:\n{}", self.stderr.text());
        let status = self.child.wait().expect("a child of ours");
        Finished { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn ok(self) -> Finished {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    pub(crate) fn balanced(self) -> Finished {
        assert!(self.is_balanced(), "{self:#?}");
        self
    }

    pub(crate) fn is_balanced(&self) -> bool {
        [&self.stdout, &self.stderr].iter().any(|text| text.lines().any(|line| line == "ledger balanced"))
    }

    /// What it complained about: the lines of standard error that are not the log.
    pub(crate) fn complaints(&self) -> Vec<&str> {
        let logged = |line: &&str| [" INFO ", " WARN ", " DEBUG "].iter().any(|level| line.contains(level));
        self.stderr.lines().filter(|line| !line.trim().is_empty() && !logged(line)).collect()
    }
}

/// `program` with nothing of the developer's settings in its environment, ended when its parent is.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["OTEL_", "TAPSPAN_", "RUST_LOG"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // What would show a backtrace where one must not be seen.
    command.env("RUST_BACKTRACE", "1");
    command
}

pub(crate) fn tapspan() -> Command {
    command(PROGRAM)
}

/// Runs to the end.
pub(crate) fn ends(command: Command) -> Finished {
    Running::start(command).finish()
}

/// `tapspan replay FILE... --export file:SPANS` and further flags.
pub(crate) fn replay(files: &[&Path], spans: &Path, flags: &[&str]) -> Finished {
    let mut command = tapspan();
    command.arg("replay").args(files).arg("--export").arg(format!("file:{}", spans.display()));
    if !flags.contains(&"--capacity") {
        command.args(["--capacity", "16k"]);
    }
    command.args(flags);
    ends(command)
}

/// A folder that goes with the value, for any user to look into.
pub(crate) fn folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix("tapspan-e2e-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder can be made")
}

/// `tapspan run` under way.
pub(crate) struct Tapspan {
    pub(crate) running: Running,
}

impl Tapspan {
    /// Starts it with an endpoint on a free port and a small table.
    pub(crate) fn run<Flag: AsRef<OsStr>>(flags: impl IntoIterator<Item = Flag>) -> Tapspan {
        let mut command = tapspan();
        command.args(["run", "--http", "127.0.0.1:0", "--capacity", "16k"]).args(flags);
        Tapspan { running: Running::start(command) }
    }

    /// The same, and waits until it polls.
    pub(crate) fn polling<Flag: AsRef<OsStr>>(flags: impl IntoIterator<Item = Flag>) -> Tapspan {
        Tapspan::run(flags).ready()
    }

    /// The same in a network namespace; `flags` say where its endpoint is.
    pub(crate) fn polling_in<Flag: AsRef<OsStr>>(
        namespace: &str,
        flags: impl IntoIterator<Item = Flag>,
    ) -> Tapspan {
        let mut ip = command("ip");
        ip.args(["netns", "exec", namespace, PROGRAM, "run", "--capacity", "16k"]).args(flags);
        Tapspan { running: Running::start(ip) }.ready()
    }

    fn ready(self) -> Tapspan {
        let probe = self;
        probe.line_with("polling");
        let endpoint = probe.endpoint();
        eventually("ready", || match endpoint.ask("GET", "/readyz")? {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        });
        probe
    }

    pub(crate) fn line_with(&self, text: &str) -> String {
        self.running.stderr.line_with(text).unwrap_or_else(|missing| panic!("{missing}"))
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        const MARK: &str = "control endpoint on http://";
        let line = self.line_with(MARK);
        let address = line.split(MARK).nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.and_then(|text| text.parse().ok());
        Endpoint { address: address.unwrap_or_else(|| panic!("no address in {line:?}")) }
    }

    /// Ends it as an operator does, and expects all of it to be in order.
    pub(crate) fn drain(self) -> Finished {
        self.running.signal("TERM");
        self.running.finish().ok().balanced()
    }
}
