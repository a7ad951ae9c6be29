//! rotel, a collector others wrote: takes OTLP from the probe and passes it on to the strict receiver.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use tempfile::TempDir;

use super::program::{Running, command};
use super::{eventually, folder, left_out, repository};

/// Ports can be taken between being found free and being listened on; then others are tried.
const ATTEMPTS: usize = 5;

/// A collector under way.
pub(crate) struct Rotel {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    _running: Running,
    _folder: TempDir,
}

impl Rotel {
    /// Starts one that passes everything on to `receiver`; `None` where `scripts/setup.sh --tests` was not run.
    pub(crate) fn start(receiver: SocketAddr) -> Option<Rotel> {
        let Some(program) = program() else {
            left_out("no rotel in .venv: run scripts/setup.sh --tests");
            return None;
        };
        (0..ATTEMPTS).find_map(|_| attempt(&program, receiver)).or_else(|| panic!("rotel does not start"))
    }
}

fn attempt(program: &PathBuf, receiver: SocketAddr) -> Option<Rotel> {
    let (grpc, http) = free_ports();
    let folder = folder();
    let file = |name: &str| folder.path().join(name);
    let mut rotel = command(program);
    rotel.arg("start").args(["--exporter", "otlp", "--otlp-exporter-compression", "none"]);
    rotel.args(["--otlp-exporter-endpoint", &format!("http://{receiver}")]);
    rotel.args(["--otlp-grpc-endpoint", &grpc.to_string(), "--otlp-http-endpoint", &http.to_string()]);
    rotel.arg("--pid-file").arg(file("pid")).arg("--log-file").arg(file("log"));
    let mut running = Running::start(rotel);
    let listening = eventually("rotel listens", || {
        if !running.is_running() {
            return Ok(false);
        }
        let connected = TcpStream::connect(grpc).and_then(|_| TcpStream::connect(http));
        connected.map(|_| true).map_err(|error| format!("{error}; {}", running.stderr.text()))
    });
    listening.then_some(Rotel { grpc, http, _running: running, _folder: folder })
}

/// Two ports nobody listened on a moment ago; rotel does not say which one it takes for 0.
fn free_ports() -> (SocketAddr, SocketAddr) {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let (one, other) = (listen(), listen());
    (one.local_addr().unwrap(), other.local_addr().unwrap())
}

fn program() -> Option<PathBuf> {
    let versions = std::fs::read_dir(repository().join(".venv/lib")).ok()?;
    let candidates =
        versions.filter_map(|entry| Some(entry.ok()?.path().join("site-packages/rotel/rotel-agent")));
    candidates.into_iter().find(|path| path.is_file())
}
