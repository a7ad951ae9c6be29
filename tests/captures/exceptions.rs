//! Flows whose counts are other than tshark's, and why. For the tests of packets and for those of spans.

const SYNTHETIC: &str = "arkime/arkime_synthetic.pcap";

/// Capture, an address of the flows (none where all of the capture is meant), reason.
pub(crate) const EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("arkime/80211http.pcap", "", "IEEE 802.11 frames are refused"),
    (SYNTHETIC, "192.168.10.1", "NSH and Cisco metadata in Ethernet are other Ethernet types"),
    (SYNTHETIC, "10.40.9.1", "VXLAN-GPE on a port that is not configured"),
    (SYNTHETIC, "192.0.2.10", "inside VXLAN-GPE on a port that is not configured"),
    (
        SYNTHETIC,
        "10.222.222.10",
        "Geneve that goes back from the port it came to: its destination port counts",
    ),
    (SYNTHETIC, "10.111.111.10", "inside Geneve that goes back from the port it came to"),
];
