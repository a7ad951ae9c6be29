//! The check from the other side: a generator on a processor of its own writes frames into a `net_ring` port, and the
//! worker receives them as from any port. What this gives is the generator's speed, as long as the worker is faster.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use dataplane::clock::UtcClock;
use dataplane::dpdk::{Port, PortConfig, TxQueue};
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::CountersWriter;
use dataplane::source::port::PortSource;
use dataplane::worker::Worker;
use flowtable::{MAX_BURST, PortId, table, tcp_flag};

use super::{Lab, MBUFS, NotMeasured};
use crate::figures::Spread;
use crate::frames::{self, FRAME_LEN, PAYLOAD_LEN};
use crate::lane::{SEED, Slice, timed};
use crate::machine;

/// Flows taking turns.
const FLOWS: u32 = 64_000;

/// Measures both ends at once.
///
/// # Errors
/// Where the port is not to be had, or what arrived is not what the table counted.
pub fn measure(lab: &mut Lab<'_>) -> anyhow::Result<NotMeasured> {
    let plan = lab.plan;
    let config = PortConfig { tx_queues: 1, mbufs: Some(MBUFS), ..PortConfig::default() };
    let mut port = Port::open(lab.eal, &"net_ring0".parse()?, &config)?;
    let queue = port.take_rx_queue(0).context("net_ring0 has no receive queue")?;
    let mut transmit = port.take_tx_queue(0).context("net_ring0 has no transmit queue")?;
    let (writer, _sweeper) = table(&lab.plan.roomy(FLOWS))?;
    let (counters, figures) = CountersWriter::new();
    let source = PortSource::new(queue, PortId(0), u16::try_from(MAX_BURST)?);
    let intake = Intake::new(&IntakeOptions::default(), SEED);
    let mut worker = Worker { sources: vec![source], writer, counters, intake };
    let clock = UtcClock::start();
    let mut rounds = Vec::new();
    // Goes on from run to run: each flow sends its next segment.
    let mut sequence = 0;
    for _ in 0..plan.runs {
        let stop = AtomicBool::new(false);
        let before = figures.read().packets;
        let (sent, received) = std::thread::scope(|scope| -> anyhow::Result<(Slice, Slice)> {
            let (stop, clock, eal, transmit) = (&stop, &clock, lab.eal, &mut transmit);
            let (worker, sequence) = (&mut worker, &mut sequence);
            let generator = scope.spawn(move || -> anyhow::Result<Slice> {
                machine::pin_to(plan.control_cpu);
                let _registered = eal.register_worker_thread()?;
                Ok(generate(transmit, sequence, stop))
            });
            let receiver = scope.spawn(move || -> anyhow::Result<Slice> {
                machine::pin_to(plan.worker_cpu);
                let _registered = eal.register_worker_thread()?;
                Ok(timed(|| worker.run(clock, stop)))
            });
            std::thread::sleep(plan.slice);
            stop.store(true, Ordering::Relaxed);
            let joined = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<Slice>>| {
                thread.join().expect("neither end panics")
            };
            Ok((joined(generator)?, joined(receiver)?))
        })?;
        let received = Slice { packets: figures.read().packets - before, ..received };
        rounds.push([sent.mpps(), received.mpps()]);
    }
    let all = figures.read();
    anyhow::ensure!(all.in_flows == all.packets, "{} packets are in no flow", all.packets - all.in_flows);
    lab.figures.add_spread("ring_64k_generator", Spread::of(rounds.iter().map(|[sent, _]| *sent)), "Mpps");
    lab.figures.add_spread("ring_64k_flows", Spread::of(rounds.iter().map(|[_, taken]| *taken)), "Mpps");
    Ok(None)
}

/// Sends until `stop`, each flow once a round.
fn generate(transmit: &mut TxQueue, sequence: &mut u32, stop: &AtomicBool) -> Slice {
    let stamps = frames::at_random(FLOWS);
    let mut frames = [[0; FRAME_LEN]; MAX_BURST];
    frames.fill(frames::template(tcp_flag::ACK));
    let mut packets = 0;
    let slice = timed(|| {
        while !stop.load(Ordering::Relaxed) {
            *sequence = sequence.wrapping_add(PAYLOAD_LEN);
            for burst in stamps.chunks_exact(MAX_BURST) {
                for (frame, stamp) in frames.iter_mut().zip(burst) {
                    stamp.press(*sequence, frame);
                }
                let mut left: &[[u8; FRAME_LEN]] = &frames;
                while !left.is_empty() && !stop.load(Ordering::Relaxed) {
                    let slices: [&[u8]; MAX_BURST] =
                        std::array::from_fn(|at| left.get(at).map_or(&[][..], |frame| frame));
                    let sent = transmit.send(&slices[..left.len()]);
                    packets += sent as u64;
                    left = &left[sent..];
                }
            }
        }
    });
    Slice { packets, ..slice }
}
