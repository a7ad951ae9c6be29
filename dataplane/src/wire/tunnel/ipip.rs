//! IP in IP, RFC 2003 (4 in 4), RFC 4213 §3 (6 in 4) and RFC 2473 (4 and 6 in 6): the inner packet follows at once.

use super::{Encapsulation, Inner, Payload, TunnelKind, number};

/// The payload of protocol 4.
pub(super) fn v4(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    Some(Encapsulation::new(TunnelKind::Ipip, Inner::Typed(number::IPV4, payload)))
}

/// The payload of protocol 41.
pub(super) fn v6(payload: Payload<'_>) -> Option<Encapsulation<'_>> {
    Some(Encapsulation::new(TunnelKind::Ipip, Inner::Typed(number::IPV6, payload)))
}
