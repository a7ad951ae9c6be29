//! Names that standards give to numbers on the wire.
//!
//! Written in lowercase as the registry or RFC spells them. Messages of ICMP are phrases there; they become `snake_case`,
//! without apostrophes and without the registry's remarks in parentheses. A number without a standard name has none here.

mod icmp;
mod ip;
mod tcp;
mod transport;

pub use icmp::{icmp_code, icmp_type};
pub use ip::{dscp, ecn, network_type};
pub use tcp::TCP_FLAGS;
pub use transport::transport;
