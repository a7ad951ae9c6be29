//! What passes by: each kind of traffic makes the buffers of a burst its next packets.

mod attack;
mod churn;
mod exchanges;
mod flood;
mod imix;
mod list;
mod rounds;
mod zipf;

pub use attack::colliding;
pub use churn::Churn;
pub use exchanges::{Exchanges, FLOWS as EXCHANGE_FLOWS};
pub use flood::Flood;
pub use imix::{Imix, MEAN_FRAME as MEAN_IMIX_FRAME};
pub use rounds::Rounds;
pub use zipf::Zipf;

use dataplane::dpdk::Burst;

use crate::frames::PAYLOAD_LEN;

/// Buffers asked for ahead of the one being stamped.
const PREFETCH_AHEAD: usize = 8;
/// Sequence number of every flow's SYN.
pub(crate) const INITIAL_SEQUENCE: u32 = 1_000;
/// The SYN and the octets that come with it in the shortest frame.
pub(crate) const SYN_LEN: u32 = PAYLOAD_LEN + 1;
/// The client's next sequence number after a SYN and one more segment, which open every flow.
pub(crate) const OPENED_SEQUENCE: u32 = INITIAL_SEQUENCE + SYN_LEN + PAYLOAD_LEN;

/// Traffic of one kind. On the hot path: makes packets and nothing else, in a few ns each, with the table and without.
pub trait Traffic: Send {
    /// A point to come back to.
    type Place: Copy;

    /// Makes every buffer of `burst` the next packet.
    fn press(&mut self, burst: &mut Burst);

    /// Octets of frame `index` of the burst pressed last, without the frame check sequence.
    fn frame_len(&self, index: usize) -> usize;

    /// What every buffer has to begin as.
    fn template(&self) -> Vec<u8>;

    /// Octets of a frame that a parser reads.
    fn header_len(&self) -> usize;

    /// Says how far it is, before packets that no table sees, to come back to after them: each flow's next segment stays
    /// the one after the last the table saw.
    fn beside(&mut self) -> Self::Place;

    /// Goes on at `place`.
    fn go_back(&mut self, place: Self::Place);
}

/// Calls `press` for the data of each buffer of `burst`, whose headers are on their way by then.
#[inline]
fn each(burst: &mut Burst, mut press: impl FnMut(usize, &mut [u8])) {
    for index in 0..PREFETCH_AHEAD {
        burst.prefetch(index);
    }
    for index in 0..burst.len() {
        burst.prefetch(index + PREFETCH_AHEAD);
        press(index, burst.data_mut(index));
    }
}
