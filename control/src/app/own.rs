//! The probe's own export, so that a probe that sees its own network does not report itself: conversations with its OTLP
//! destinations open no flows.
//!
//! Which address of this machine such a connection comes from is the kernel's choice, so the kernel is asked: a UDP socket
//! is connected to the destination, which sends nothing. Names are resolved and routes looked up again while the program
//! runs. A connection through a proxy (`HTTPS_PROXY` and the like) goes elsewhere and is not known here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use flowtable::{Endpoint, Exclusion, Exclusions, Family, MAX_EXCLUSIONS, protocol};
use tracing::{debug, warn};

use crate::export::ExportSettings;

/// How often addresses are looked up.
const REFRESH: Duration = Duration::from_secs(60);
/// The same while a destination has none yet.
const REFRESH_UNKNOWN: Duration = Duration::from_secs(5);

/// How long the start waits for names to be resolved.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// Keeps the exclusions of the tables at what the export needs.
pub(super) struct OwnTraffic {
    destinations: Vec<Known>,
    exclusions: Arc<Exclusions>,
    /// The operator knows that there are too many.
    warned: bool,
}

/// A destination that is connected to, and what is known of the conversations with it.
struct Known {
    host: String,
    port: u16,
    conversations: Vec<Exclusion>,
}

impl OwnTraffic {
    /// For the destinations that are reached over the network. Nothing is excluded before [`OwnTraffic::begin`] has run.
    pub(super) fn new(destinations: &[ExportSettings]) -> OwnTraffic {
        let known = |(host, port)| Known { host, port, conversations: Vec::new() };
        let remote = destinations.iter().filter_map(|settings| settings.endpoint.host_port());
        OwnTraffic { destinations: remote.map(known).collect(), exclusions: Arc::default(), warned: false }
    }

    /// What the tables are to leave out.
    pub(super) fn exclusions(&self) -> Arc<Exclusions> {
        Arc::clone(&self.exclusions)
    }

    /// Looks up for the first time. To be awaited before a worker polls: the exporter tries its destinations at once.
    pub(super) async fn begin(&mut self) {
        // What takes longer is looked up again.
        let _ = tokio::time::timeout(FIRST_LOOK, self.look_up()).await;
    }

    /// Looks up again and again, for ever.
    pub(super) async fn follow(mut self) {
        while !self.destinations.is_empty() {
            let unknown = self.destinations.iter().any(|known| known.conversations.is_empty());
            tokio::time::sleep(if unknown { REFRESH_UNKNOWN } else { REFRESH }).await;
            self.look_up().await;
        }
    }

    /// A destination that cannot be looked up now keeps what was known of it.
    async fn look_up(&mut self) {
        for known in &mut self.destinations {
            match tokio::net::lookup_host((known.host.as_str(), known.port)).await {
                Ok(addresses) => {
                    let conversations: Vec<_> = addresses.filter_map(conversation).collect();
                    if !conversations.is_empty() {
                        known.conversations = conversations;
                    }
                }
                Err(error) => debug!(host = known.host, %error, "own traffic cannot be told by address"),
            }
        }
        let mut all: Vec<Exclusion> = Vec::new();
        for conversation in self.destinations.iter().flat_map(|known| &known.conversations) {
            if !all.contains(conversation) {
                all.push(*conversation);
            }
        }
        if all.len() > MAX_EXCLUSIONS && !self.warned {
            self.warned = true;
            warn!(
                "the destinations have {} addresses; the export to {MAX_EXCLUSIONS} of them opens no flows, to the others it does",
                all.len()
            );
        }
        self.exclusions.set(&all);
    }
}

/// The conversations of this machine with `remote`; `None` where there is no way to it.
fn conversation(remote: SocketAddr) -> Option<Exclusion> {
    let any = match remote {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    let (_, address) = bits(socket.local_addr().ok()?.ip());
    let (family, remote_address) = bits(remote.ip());
    let endpoint = Endpoint { address: remote_address, port: remote.port() };
    Some(Exclusion { family, protocol: protocol::TCP, address, endpoint })
}

fn bits(address: IpAddr) -> (Family, u128) {
    match address {
        IpAddr::V4(address) => (Family::V4, address.to_bits().into()),
        IpAddr::V6(address) => (Family::V6, address.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(urls: &[&str]) -> OwnTraffic {
        let settings: Vec<_> =
            urls.iter().map(|url| ExportSettings::new(url.parse().expect("a URL"))).collect();
        OwnTraffic::new(&settings)
    }

    fn loopback(port: u16) -> Exclusion {
        let address = Ipv4Addr::LOCALHOST.to_bits().into();
        let endpoint = Endpoint { address, port };
        Exclusion { family: Family::V4, protocol: protocol::TCP, address, endpoint }
    }

    #[tokio::test]
    async fn each_destination_over_the_network_is_a_conversation_from_the_address_the_kernel_chooses() {
        let mut own = own(&["stdout", "grpc://127.0.0.1", "http://127.0.0.1:4318", "file:spans.jsonl"]);
        own.look_up().await;
        let known: Vec<_> = own.destinations.iter().flat_map(|known| known.conversations.clone()).collect();
        assert_eq!(known, [loopback(4317), loopback(4318)]);
    }

    #[tokio::test]
    async fn a_destination_that_cannot_be_looked_up_keeps_what_was_known() {
        let mut own = own(&["grpc://127.0.0.1:4317"]);
        own.look_up().await;
        // A name that no resolver takes.
        own.destinations[0].host = "no host".to_owned();
        own.look_up().await;
        assert_eq!(own.destinations[0].conversations, [loopback(4317)]);
    }

    #[tokio::test]
    async fn without_destinations_over_the_network_there_is_nothing_to_follow() {
        own(&["stdout"]).follow().await;
    }
}
