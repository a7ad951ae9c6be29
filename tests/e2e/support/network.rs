//! Virtual wires: one end for the probe in the root namespace, the other in a namespace of its own, for tcpreplay.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Says what a test leaves out and why; fails instead where everything must run.
pub(crate) fn left_out(why: &str) {
    let full = std::env::var("TAPSPAN_E2E").is_ok_and(|value| value == "full");
    assert!(!full, "TAPSPAN_E2E=full, but {why}");
    eprintln!("left out: {why}");
}

/// A veth pair that goes with this value.
pub(crate) struct Veth {
    /// The probe's end.
    pub(crate) probe: String,
    sender: String,
    namespace: String,
}

impl Veth {
    /// A wire with `queues` receive queues at the probe's end, whose frames are `mtu` long at most; `None` where this
    /// user or machine cannot make one.
    pub(crate) fn lay(queues: u16, mtu: u16) -> Option<Veth> {
        if let Some(why) = obstacle() {
            left_out(&why);
            return None;
        }
        // Interfaces have 15 characters at most, so the process's number is cut; the tag is the run's.
        let tag = std::env::var("TAPSPAN_E2E_TAG").unwrap_or_default();
        let own = format!("{:x}{:x}", std::process::id() & 0xf_ffff, NEXT.fetch_add(1, Ordering::Relaxed));
        let veth = Veth {
            probe: format!("t{tag}{own}p"),
            sender: format!("t{tag}{own}s"),
            namespace: format!("tapspan-{tag}-{own}"),
        };
        veth.make(queues, mtu);
        Some(veth)
    }

    fn make(&self, queues: u16, mtu: u16) {
        let Veth { probe, sender, namespace } = self;
        let (queues, mtu) = (queues.to_string(), mtu.to_string());
        run("ip", &["netns", "add", namespace]);
        run(
            "ip",
            &[
                "link",
                "add",
                probe,
                "numrxqueues",
                &queues,
                "numtxqueues",
                &queues,
                "type",
                "veth",
                "peer",
                "name",
                sender,
                "numrxqueues",
                &queues,
                "numtxqueues",
                &queues,
                "netns",
                namespace,
            ],
        );
        // The kernel's own packets would be counted too.
        let quiet = |name: &str| format!("net.ipv6.conf.{name}.disable_ipv6=1");
        run("sysctl", &["-qw", &quiet(probe)]);
        run("ip", &["netns", "exec", namespace, "sysctl", "-qw", &quiet(sender)]);
        run("ip", &["link", "set", probe, "arp", "off", "mtu", &mtu, "up"]);
        run("ip", &["-n", namespace, "link", "set", sender, "arp", "off", "mtu", &mtu, "up"]);
    }

    /// Makes it a link between two machines; gives the addresses of the probe's end, here, and of the far one, in the
    /// namespace.
    pub(crate) fn connect(&self) -> (Ipv4Addr, Ipv4Addr) {
        // Of the range for tests of networks (RFC 2544), a subnet of four that is this wire's alone.
        let number = (std::process::id() << 2).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let subnet = 0xc612_0000 | ((number << 2) & 0x0001_fffc);
        let (near, far) = (Ipv4Addr::from_bits(subnet + 1), Ipv4Addr::from_bits(subnet + 2));
        let Veth { probe, sender, namespace } = self;
        run("ip", &["link", "set", probe, "arp", "on"]);
        run("ip", &["-n", namespace, "link", "set", sender, "arp", "on"]);
        run("ip", &["addr", "add", &format!("{near}/30"), "dev", probe]);
        run("ip", &["-n", namespace, "addr", "add", &format!("{far}/30"), "dev", sender]);
        (near, far)
    }

    /// The interface at the far end.
    pub(crate) fn far(&self) -> &str {
        &self.sender
    }

    /// Where the far end is.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// As [`Veth::send`], the other way.
    pub(crate) fn send_to_far(&self, files: &[&Path]) -> u64 {
        let mut command = Command::new("tcpreplay");
        command.args(["--quiet", "--pps=2000", "--intf1", &self.probe]).args(files);
        sent_by_tcpreplay(command)
    }

    /// Sends the packets of `files`, one after the other and at a pace no receiver loses any at; gives their number.
    pub(crate) fn send(&self, files: &[&Path]) -> u64 {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]);
        command.args(["tcpreplay", "--quiet", "--pps=2000", "--intf1", &self.sender]).args(files);
        sent_by_tcpreplay(command)
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        // Where making it failed half-way, one of them is not there.
        let _ = output("ip", &["link", "delete", &self.probe]);
        let _ = output("ip", &["netns", "delete", &self.namespace]);
    }
}

/// Runs tcpreplay; how many packets it says it has sent.
pub(crate) fn sent_by_tcpreplay(mut command: Command) -> u64 {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !text.contains("Unable to send"), "{command:?}: {text}");
    let actual = text.lines().find_map(|line| line.strip_prefix("Actual: ")?.split(' ').next()?.parse().ok());
    actual.unwrap_or_else(|| panic!("tcpreplay does not say what it sent: {text}"))
}

/// Why no wire can be laid here.
fn obstacle() -> Option<String> {
    for (program, package) in [("ip", "iproute2"), ("tcpreplay", "tcpreplay"), ("sysctl", "procps")] {
        if output(program, &["-V"]).is_err() {
            return Some(format!("no {program}: install {package}"));
        }
    }
    if !is_root() {
        return Some("virtual wires need root".to_owned());
    }
    let allowed = output("unshare", &["--net", "true"]).is_ok_and(|output| output.status.success());
    (!allowed).then(|| "no network namespace can be made here".to_owned())
}

pub(crate) fn is_root() -> bool {
    output("id", &["-u"]).is_ok_and(|output| output.stdout == b"0\n")
}

fn output(program: &str, words: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(words).output()
}

fn run(program: &str, words: &[&str]) {
    let output = output(program, words).unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
