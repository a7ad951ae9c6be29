//! `[[port]]`: the DPDK ports packets are received on.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::range::within;
use super::units;

/// Most ports one probe polls; DPDK's own limit (`RTE_MAX_ETHPORTS`) is 32 as packaged.
const MAX_PORTS: usize = 32;

/// One port to receive on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortConfig {
    /// What DPDK calls it: a PCI address (`0000:03:00.0`) or a virtual device with its arguments
    /// (`net_af_packet0,iface=eth1`).
    pub device: String,
    /// What spans, metrics and logs call it. [`load`](super::load) fills in the device up to its first comma.
    #[serde(default)]
    pub name: String,
    /// Descriptors of each receive queue, 64 to 32,768. The driver may round it.
    #[serde(default = "PortConfig::default_rx_descriptors", deserialize_with = "units::count")]
    pub rx_descriptors: u16,
    /// Whether to receive frames that are not addressed to the port, which is what a TAP or SPAN port is for.
    #[serde(default = "PortConfig::default_promiscuous")]
    pub promiscuous: bool,
}

impl PortConfig {
    fn default_rx_descriptors() -> u16 {
        2048
    }

    fn default_promiscuous() -> bool {
        true
    }

    /// A port with defaults for all but the device; the name is the device up to its first comma.
    pub fn new(device: impl Into<String>) -> PortConfig {
        let device = device.into();
        let name = default_name(&device);
        PortConfig {
            device,
            name,
            rx_descriptors: PortConfig::default_rx_descriptors(),
            promiscuous: PortConfig::default_promiscuous(),
        }
    }

    pub(super) fn check(&self, index: usize) -> Result<(), Fault> {
        let key = |field: &str| format!("port[{index}].{field}");
        if self.device.is_empty() || self.device.starts_with(',') || self.device.contains(char::is_whitespace)
        {
            let expected =
                "expected a PCI address such as 0000:03:00.0, or a device such as net_af_packet0,iface=eth1";
            return Err(Fault::new(key("device"), format!("{:?}", self.device), expected));
        }
        if self.name.contains(char::is_control) {
            return Err(Fault::new(
                key("name"),
                format!("{:?}", self.name),
                "expected text that can be printed",
            ));
        }
        within(&key("rx_descriptors"), u64::from(self.rx_descriptors), 64..=32_768)
    }
}

/// Reads `DEVICE[,name=NAME]`: `name=NAME` may stand anywhere behind the first comma, the rest is the device's.
impl FromStr for PortConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<PortConfig, String> {
        let (names, device): (Vec<&str>, Vec<&str>) =
            text.trim().split(',').partition(|part| part.starts_with("name="));
        let mut port = PortConfig::new(device.join(","));
        match names.as_slice() {
            [] => {}
            [one] => one.trim_start_matches("name=").clone_into(&mut port.name),
            _ => return Err(format!("{text}: expected one name=NAME")),
        }
        if port.device.is_empty() || port.name.is_empty() {
            return Err(format!(
                "{text}: expected DEVICE[,name=NAME], such as 0000:03:00.0 or net_af_packet0,iface=eth1,name=uplink"
            ));
        }
        Ok(port)
    }
}

/// Fills in the names that were left out.
pub(super) fn name_all(ports: &mut [PortConfig]) {
    for port in ports {
        if port.name.is_empty() {
            port.name = default_name(&port.device);
        }
    }
}

/// Checks what one port alone cannot show: their number, and that names and devices are not used twice.
pub(super) fn check_together(ports: &[PortConfig]) -> Result<(), Fault> {
    if ports.len() > MAX_PORTS {
        return Err(Fault::new(
            "port",
            format!("{} ports", ports.len()),
            format!("expected at most {MAX_PORTS}"),
        ));
    }
    for (index, port) in ports.iter().enumerate() {
        let earlier = &ports[..index];
        for (field, value, taken) in [
            ("device", &port.device, earlier.iter().any(|other| other.device == port.device)),
            ("name", &port.name, earlier.iter().any(|other| other.name == port.name)),
        ] {
            if taken {
                let expected = format!("expected a {field} that no other port has");
                return Err(Fault::new(format!("port[{index}].{field}"), format!("{value:?}"), expected));
            }
        }
    }
    Ok(())
}

fn default_name(device: &str) -> String {
    device.split(',').next().unwrap_or(device).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_taken_out_of_the_device_wherever_it_stands() {
        for text in ["net_af_packet0,iface=veth0,name=uplink", "net_af_packet0,name=uplink,iface=veth0"] {
            let port: PortConfig = text.parse().unwrap();
            assert_eq!(port.device, "net_af_packet0,iface=veth0");
            assert_eq!(port.name, "uplink");
        }
    }

    #[test]
    fn without_a_name_the_port_is_called_by_its_device() {
        assert_eq!("net_null0,size=64".parse::<PortConfig>().unwrap().name, "net_null0");
        assert_eq!("0000:03:00.0".parse::<PortConfig>().unwrap().name, "0000:03:00.0");
    }

    #[test]
    fn a_port_without_device_or_with_two_names_is_refused() {
        for text in ["", "name=uplink", "net_null0,name=", "net_null0,name=a,name=b"] {
            assert!(text.parse::<PortConfig>().is_err(), "{text}");
        }
    }
}
