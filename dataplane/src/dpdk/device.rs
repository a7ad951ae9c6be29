//! What an operator writes to name a port: a PCI address or a DPDK virtual device, options after a comma.

use std::fmt;
use std::str::FromStr;

use super::error::DpdkError;

/// Longest device name DPDK keeps, without the terminating zero.
const NAME_MAX: usize = dpdk_sys::RTE_ETH_NAME_MAX_LEN as usize - 1;

/// The bus a device is found on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bus {
    /// A network card, by its address.
    Pci,
    /// A software device that DPDK makes at start: `net_af_xdp0`, `net_pcap0`, ...
    Virtual,
}

/// A parsed device: `0000:01:00.0`, `01:00.0,opt=1` or `net_af_packet0,iface=veth0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceSpec {
    name: String,
    arguments: String,
    bus: Bus,
}

impl DeviceSpec {
    /// The name DPDK knows the device by: the full PCI address, or the part of a virtual device before the comma.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands after the first comma; empty where there is none.
    pub fn arguments(&self) -> &str {
        &self.arguments
    }

    /// The bus the device is on.
    pub fn bus(&self) -> Bus {
        self.bus
    }

    /// The value of argument `key`, as in `iface=veth0`.
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.arguments
            .split(',')
            .filter_map(|argument| argument.split_once('='))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The same device with further arguments.
    pub(super) fn with(&self, arguments: &str) -> DeviceSpec {
        let comma = if self.arguments.is_empty() { "" } else { "," };
        DeviceSpec { arguments: format!("{}{comma}{arguments}", self.arguments), ..self.clone() }
    }

    /// The kernel interface the device is made over, where it is one of those.
    pub fn kernel_interface(&self) -> Option<&str> {
        // There it names the interface to be made.
        if self.name.starts_with("net_tap") {
            return None;
        }
        self.argument("iface").or_else(|| self.argument("rx_iface"))
    }
}

impl FromStr for DeviceSpec {
    type Err = DpdkError;

    /// # Errors
    /// [`DpdkError::BadDevice`] where `text` names neither a PCI address nor a virtual device.
    fn from_str(text: &str) -> Result<DeviceSpec, DpdkError> {
        let bad =
            |problem: &str| DpdkError::BadDevice { device: text.to_owned(), problem: problem.to_owned() };
        let (name, arguments) = text.split_once(',').unwrap_or((text, ""));
        if text.contains('\0') {
            return Err(bad("a device name has no zero byte"));
        }
        if name.len() > NAME_MAX {
            return Err(bad("a device name has at most 63 characters"));
        }
        if let Some(address) = pci_address(name) {
            return Ok(DeviceSpec { name: address, arguments: arguments.to_owned(), bus: Bus::Pci });
        }
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            return Err(bad(
                "write a PCI address (0000:01:00.0) or a virtual device (net_af_packet0,iface=eth0)",
            ));
        }
        Ok(DeviceSpec { name: name.to_owned(), arguments: arguments.to_owned(), bus: Bus::Virtual })
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.arguments.is_empty() {
            write!(f, ",{}", self.arguments)?;
        }
        Ok(())
    }
}

/// `name` as `dddd:bb:dd.f` in lower case, where it is a PCI address with or without its domain.
fn pci_address(name: &str) -> Option<String> {
    let (rest, function) = name.rsplit_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.split_once(':').unwrap_or(("0000", rest));
    let hex = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    if !(hex(domain, 4..=8) && hex(bus, 2..=2) && hex(device, 2..=2) && hex(function, 1..=1)) {
        return None;
    }
    Some(format!("{domain}:{bus}:{device}.{function}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pci_address_gets_its_domain_and_keeps_its_options() {
        let spec: DeviceSpec = "3B:00.1,dv_flow_en=1".parse().unwrap();
        assert_eq!((spec.name(), spec.arguments(), spec.bus()), ("0000:3b:00.1", "dv_flow_en=1", Bus::Pci));
        assert_eq!(spec.to_string(), "0000:3b:00.1,dv_flow_en=1");
    }

    #[test]
    fn a_virtual_device_is_named_by_what_stands_before_the_comma() {
        let spec: DeviceSpec = "net_af_packet0,qpairs=2,iface=veth0".parse().unwrap();
        assert_eq!((spec.name(), spec.bus()), ("net_af_packet0", Bus::Virtual));
        assert_eq!(spec.kernel_interface(), Some("veth0"));
        assert_eq!(spec.argument("nothing"), None);
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for text in ["", "0000:01:00", "01:00.0.0", "-a", "net null", "net_null0\0", &"n".repeat(64)] {
            let error = text.parse::<DeviceSpec>().unwrap_err().to_string();
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
