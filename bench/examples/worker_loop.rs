//! The way of frames through a worker and its table, so many packets and no more, for a tool that counts instructions:
//! `bench/instructions.sh`.
//!
//! Arguments: the family (tcp, udp, vlan, ipv6, vxlan), the number of flows and that of rounds, in each of which a packet of every
//! flow comes by. No port: the frames are in memory, and each is stamped before its turn.

use anyhow::{Context, Result, bail, ensure};
use bench::frames::{self, Shape, Stamp};
use dataplane::intake::{Intake, IntakeOptions};
use dataplane::ledger::CountersWriter;
use dataplane::wire::LinkType;
use flowtable::{MAX_BURST, Nanos, PortId, TableConfig, Writer, table, tcp_flag};

/// Time between two bursts.
const BURST_NS: u64 = 5_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [family, flows, rounds] = arguments.as_slice() else {
        bail!("usage: worker_loop FAMILY FLOWS ROUNDS")
    };
    let shape = match family.as_str() {
        "tcp" => Shape::Tcp,
        "udp" => Shape::Udp,
        "vlan" => Shape::Vlan,
        "ipv6" => Shape::Ipv6,
        "vxlan" => Shape::Vxlan,
        _ => bail!("{family} is no family"),
    };
    let flows: u32 = flows.parse().context("the number of flows")?;
    let rounds: u32 = rounds.parse().context("the number of rounds")?;
    let config = TableConfig { capacity: flows / 4 * 5, details: flows, seed: 1, ..TableConfig::default() };
    let (mut writer, _sweeper) = table(&config)?;
    let (counters, figures) = CountersWriter::new();
    let mut path = Path { shape, intake: Intake::new(&IntakeOptions::default(), 1), counters, at: Nanos(0) };
    path.pass(&mut writer, &frames::in_order(flows), tcp_flag::SYN, 0);
    // After a SYN, which takes a number as well.
    path.pass(&mut writer, &frames::in_order(flows), tcp_flag::ACK, frames::PAYLOAD_LEN + 1);
    let order = frames::at_random(flows);
    for round in 0..rounds {
        path.pass(&mut writer, &order, tcp_flag::ACK, (round + 2) * frames::PAYLOAD_LEN + 1);
    }
    let (all, figures) = (u64::from(flows) * u64::from(rounds + 2), figures.read());
    ensure!(figures.in_flows == all, "{} of {all} packets are in a flow", figures.in_flows);
    Ok(())
}

/// What a frame passes before the table.
struct Path {
    shape: Shape,
    intake: Intake,
    counters: CountersWriter,
    at: Nanos,
}

impl Path {
    /// The segment `sequence` of each of `stamps`.
    fn pass(&mut self, writer: &mut Writer, stamps: &[Stamp], flags: u8, sequence: u32) {
        let mut frame = self.shape.template(flags);
        let wire_len = u32::try_from(frame.len()).expect("a short frame");
        for burst in stamps.chunks(MAX_BURST) {
            self.at.0 += BURST_NS;
            for stamp in burst {
                self.shape.press(stamp, sequence, &mut frame);
                self.intake.take(LinkType::Ethernet, &frame, wire_len, self.at, PortId(0));
            }
            self.intake.commit(writer, &mut self.counters);
        }
    }
}
