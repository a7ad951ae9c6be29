//! Names of the TCP header flags.

/// Flag names in bit order from FIN, RFC 9293 §3.1.
pub const TCP_FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
