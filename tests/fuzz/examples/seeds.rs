//! Writes inputs to begin with, made of the captures in `tests/captures`, into `FOLDER/packet`, `capture` and `filter`.
//!
//! usage: `cargo run --example seeds -- FOLDER`

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use dataplane::source::capture::CaptureReader;
use dataplane::wire::LinkType;
use pcap_sys::{Compiled, DataLink};

/// Frames of one input, and octets of each.
const FRAMES: usize = 24;
const FRAME_OCTETS: usize = 400;
/// Files that are an input as they are.
const MAX_FILE: u64 = 4_096;

/// Programs to begin with.
const EXPRESSIONS: [&str; 12] = [
    "",
    "tcp port 80 or udp port 53",
    "portrange 1000-30000",
    "net 10.0.0.0/8 and not host 10.0.0.1",
    "ip6 net fe80::/10",
    "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
    "ip[2:2] / ip[8] > 3",
    "ip[2:2] - ip[8] * 2 ^ 5 > 64 << 1",
    "ip[8] < 64 and ip[2:2] % 3 == 1",
    "len > 200 and len <= 1000",
    "ip[ip[0] & 0xf : 2] != 0 or -ip[1] > 2",
    "vlan and (tcp or vlan and udp)",
];

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args().nth(1).expect("usage: seeds FOLDER"));
    for target in ["packet", "capture", "filter"] {
        fs::create_dir_all(folder.join(target))?;
    }
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures");
    let mut first = Vec::new();
    for path in files(&captures)? {
        let name = path.strip_prefix(&captures).unwrap_or(&path).to_string_lossy().replace('/', "-");
        if fs::metadata(&path)?.len() <= MAX_FILE {
            fs::copy(&path, folder.join("capture").join(&name))?;
        }
        let Some(input) = packets(&path, &mut first) else { continue };
        fs::write(folder.join("packet").join(&name), input)?;
    }
    for (number, expression) in EXPRESSIONS.iter().enumerate() {
        let source = CString::new(*expression).expect("no octet of zero");
        let program = Compiled::new(&source, DataLink::Ethernet).expect("it is an expression");
        let instructions = program.instructions();
        let mut input = vec![0, u8::try_from(instructions.len()).unwrap_or(u8::MAX)];
        input.extend(300_u32.to_le_bytes());
        for step in instructions {
            input.extend(
                step.code.to_le_bytes().iter().chain(&[step.jt, step.jf]).chain(&step.k.to_le_bytes()),
            );
        }
        input.extend(&first);
        fs::write(folder.join("filter").join(format!("program-{number}")), input)?;
    }
    Ok(())
}

/// The first frames of a capture that are of one link layer, as `cases/packet.rs` takes them.
fn packets(path: &Path, first: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut reader = CaptureReader::open(path).ok()?;
    let mut input = Vec::new();
    let mut link = None;
    for _ in 0..FRAMES {
        let Ok(Some(frame)) = reader.next() else { break };
        if *link.get_or_insert(frame.link) != frame.link {
            continue;
        }
        let kept = &frame.data[..frame.data.len().min(FRAME_OCTETS)];
        if first.is_empty() && frame.link == LinkType::Ethernet {
            first.extend(kept);
        }
        let cut = (frame.wire_len - u32::try_from(kept.len()).ok()?).div_ceil(4).min(255);
        input.extend(u16::try_from(kept.len()).ok()?.to_le_bytes());
        input.extend([u8::try_from(cut).ok()?, 3]);
        input.extend(kept);
    }
    // Link layer, flags, kinds of tunnels, capacity, fragments, details, clock.
    let head = [link? as u8, 0, 0xff, 0xff, 16, 0x44, 8, 1];
    Some([&head[..], &input].concat())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|kind| ["pcap", "pcapng", "cap"].iter().any(|k| kind == *k)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
