//! `[tunnel]`: which encapsulations are entered, and at which UDP ports they are looked for.

use dataplane::wire::{PortList, TunnelOptions};
use flowtable::TunnelKind;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::list::{self, Word};

/// Most ports of one encapsulation.
const MAX_PORTS: usize = PortList([0; 4]).0.len();

/// Which encapsulations are entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TunnelConfig {
    /// Encapsulations that are not entered: their packets are flows of the outer headers.
    #[serde(with = "list")]
    pub off: Vec<Encapsulation>,
    /// UDP destination ports of VXLAN, one to four.
    #[serde(with = "list::ports")]
    pub vxlan_ports: Vec<u16>,
    /// UDP destination ports of Geneve, one to four.
    #[serde(with = "list::ports")]
    pub geneve_ports: Vec<u16>,
    /// UDP ports of GTP-U, one to four.
    #[serde(with = "list::ports")]
    pub gtp_ports: Vec<u16>,
    /// UDP ports of WireGuard, one to four.
    #[serde(with = "list::ports")]
    pub wireguard_ports: Vec<u16>,
}

/// An encapsulation by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// One that spans tell of as `tunnel.type`.
    Tunnel(TunnelKind),
    /// MPLS labels.
    Mpls,
    /// PPPoE sessions.
    Pppoe,
}

impl Word for Encapsulation {
    const FORM: &'static str = "vxlan, geneve, gre, erspan, ipip, gtp, wireguard, ah, esp, mpls or pppoe";

    fn read(text: &str) -> Option<Encapsulation> {
        match text {
            "mpls" => Some(Encapsulation::Mpls),
            "pppoe" => Some(Encapsulation::Pppoe),
            _ => {
                let kind = TunnelKind::ALL.into_iter().find(|kind| kind.as_str() == text);
                kind.map(Encapsulation::Tunnel)
            }
        }
    }

    fn write(&self) -> String {
        let name = match self {
            Encapsulation::Tunnel(kind) => kind.as_str(),
            Encapsulation::Mpls => "mpls",
            Encapsulation::Pppoe => "pppoe",
        };
        name.to_owned()
    }
}

impl Default for TunnelConfig {
    fn default() -> TunnelConfig {
        let TunnelOptions { vxlan_ports, geneve_ports, gtp_ports, wireguard_ports, .. } =
            TunnelOptions::default();
        let ports = |list: PortList| list.0.into_iter().filter(|port| *port > 0).collect();
        TunnelConfig {
            off: Vec::new(),
            vxlan_ports: ports(vxlan_ports),
            geneve_ports: ports(geneve_ports),
            gtp_ports: ports(gtp_ports),
            wireguard_ports: ports(wireguard_ports),
        }
    }
}

impl TunnelConfig {
    /// As the parser takes them.
    pub fn options(&self) -> TunnelOptions {
        let ports = |ports: &[u16]| {
            let mut list = PortList([0; MAX_PORTS]);
            for (place, port) in list.0.iter_mut().zip(ports) {
                *place = *port;
            }
            list
        };
        let mut options = TunnelOptions {
            vxlan_ports: ports(&self.vxlan_ports),
            geneve_ports: ports(&self.geneve_ports),
            gtp_ports: ports(&self.gtp_ports),
            wireguard_ports: ports(&self.wireguard_ports),
            ..TunnelOptions::default()
        };
        for encapsulation in &self.off {
            match encapsulation {
                Encapsulation::Tunnel(kind) => options.kinds &= !(1 << *kind as u8),
                Encapsulation::Mpls => options.mpls = false,
                Encapsulation::Pppoe => options.pppoe = false,
            }
        }
        options
    }

    fn lists(&self) -> [(&'static str, &[u16]); 4] {
        [
            ("tunnel.vxlan_ports", &self.vxlan_ports),
            ("tunnel.geneve_ports", &self.geneve_ports),
            ("tunnel.gtp_ports", &self.gtp_ports),
            ("tunnel.wireguard_ports", &self.wireguard_ports),
        ]
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        for (key, ports) in self.lists() {
            if ports.is_empty() || ports.len() > MAX_PORTS {
                return Err(Fault::new(
                    key,
                    format!("{ports:?}"),
                    format!("expected 1 to {MAX_PORTS} ports"),
                ));
            }
        }
        Ok(())
    }

    /// A packet to a port of two encapsulations would be a guess.
    pub(super) fn check_together(&self) -> Result<(), Fault> {
        let lists = self.lists();
        for (place, (key, ports)) in lists.iter().enumerate() {
            for (other, others) in &lists[..place] {
                if let Some(port) = ports.iter().find(|port| others.contains(port)) {
                    return Err(Fault::new(
                        *key,
                        format!("{ports:?}"),
                        format!("{port} is in {other} already"),
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_parser() {
        assert_eq!(TunnelConfig::default().options(), TunnelOptions::default());
    }

    #[test]
    fn what_is_off_is_not_entered_and_ports_are_taken_over() {
        let off = ["gre", "mpls", "pppoe"].map(|name| Encapsulation::read(name).unwrap());
        let config =
            TunnelConfig { off: off.to_vec(), vxlan_ports: vec![4789, 8472], ..TunnelConfig::default() };
        let options = config.options();
        let entered = |kind| options.enters(kind);
        assert!(!entered(TunnelKind::Gre) && entered(TunnelKind::Erspan) && entered(TunnelKind::Vxlan));
        assert_eq!((options.mpls, options.pppoe), (false, false));
        assert!(
            options.vxlan_ports.has(8472) && options.vxlan_ports.has(4789) && !options.vxlan_ports.has(0)
        );
    }
}
