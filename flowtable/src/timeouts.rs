//! When a record is cut. All in nanoseconds; read by the sweeper at the beginning of each sweep.

use crate::key::protocol;
use crate::tcp::TcpState;

const SECOND_NS: u64 = 1_000_000_000;

/// The timeouts of the table, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A live flow gets a record at least this often.
    pub active_ns: u64,
    /// Idle timeout of an established TCP connection.
    pub tcp_ns: u64,
    /// Idle timeout of a TCP connection whose handshake is not complete.
    pub tcp_opening_ns: u64,
    /// Idle timeout of UDP.
    pub udp_ns: u64,
    /// Idle timeout of ICMP and ICMPv6.
    pub icmp_ns: u64,
    /// Idle timeout of every other protocol.
    pub other_ns: u64,
    /// How long a closed TCP connection waits for stragglers before its last record.
    pub close_linger_ns: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            active_ns: 60 * SECOND_NS,
            tcp_ns: 120 * SECOND_NS,
            tcp_opening_ns: 10 * SECOND_NS,
            udp_ns: 30 * SECOND_NS,
            icmp_ns: 10 * SECOND_NS,
            other_ns: 30 * SECOND_NS,
            close_linger_ns: 2 * SECOND_NS,
        }
    }
}

impl Timeouts {
    /// The shortest of them, in ns.
    pub(crate) fn shortest_ns(&self) -> u64 {
        let Timeouts { active_ns, tcp_ns, tcp_opening_ns, udp_ns, icmp_ns, other_ns, close_linger_ns } =
            *self;
        [tcp_ns, tcp_opening_ns, udp_ns, icmp_ns, other_ns, close_linger_ns]
            .into_iter()
            .fold(active_ns, u64::min)
    }

    /// The idle timeout of a flow of `protocol`, in ns; `state` matters to TCP alone.
    #[inline]
    pub fn idle_ns(&self, protocol: u8, state: TcpState) -> u64 {
        match protocol {
            protocol::TCP if state.is_opening() => self.tcp_opening_ns,
            protocol::TCP => self.tcp_ns,
            protocol::UDP => self.udp_ns,
            protocol::ICMP | protocol::ICMPV6 => self.icmp_ns,
            _ => self.other_ns,
        }
    }
}
