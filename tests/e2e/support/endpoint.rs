//! A client of the control endpoint.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::eventually;

/// Where a probe answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
}

impl Endpoint {
    /// Status and body of one request.
    pub(crate) fn ask(self, method: &str, path: &str) -> Result<(u16, String), String> {
        let failed = |error: std::io::Error| format!("{method} {path}: {error}");
        let mut stream = TcpStream::connect(self.address).map_err(failed)?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
        let address = self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        .map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {answer}"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| format!("no status: {head}"))?, body.to_owned()))
    }

    pub(crate) fn get(self, path: &str) -> Result<Value, String> {
        let (status, body) = self.ask("GET", path)?;
        match serde_json::from_str(&body) {
            Ok(value) if status == 200 => Ok(value),
            _ => Err(format!("GET {path}: {status} {body}")),
        }
    }

    pub(crate) fn ledger(self) -> Value {
        self.get("/api/v1/ledger").unwrap()
    }

    /// Waits until `packets` are in the books, and gives the ledger.
    pub(crate) fn ledger_with(self, packets: u64) -> Value {
        eventually(&format!("{packets} packets"), || {
            let ledger = self.get("/api/v1/ledger")?;
            if ledger["rx_packets"].as_u64() >= Some(packets) { Ok(ledger) } else { Err(ledger.to_string()) }
        })
    }
}
