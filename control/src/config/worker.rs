//! `[worker]` and `[dpdk]`: the cores that poll, and how DPDK is started.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use super::range::within;
use super::units;

/// Highest core number taken (`RTE_MAX_LCORE` of large builds is 1,024).
const MAX_CORE: u16 = 1023;
/// Most workers; DPDK 22.11 as packaged knows 128 lcores.
const MAX_WORKERS: usize = 128;

/// How packets are polled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The cores that poll, one worker on each; worker i polls queue i of every port.
    pub lcores: Lcores,
    /// Packets taken from a queue at once, 1 to 64.
    #[serde(deserialize_with = "units::count")]
    pub burst: u16,
}

impl Default for WorkerConfig {
    fn default() -> WorkerConfig {
        WorkerConfig { lcores: Lcores::Auto, burst: 64 }
    }
}

impl WorkerConfig {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("worker.burst", u64::from(self.burst), 1..=64)
    }
}

/// How DPDK is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DpdkConfig {
    /// Further arguments of DPDK's EAL, separated by blanks; they come last, so they win.
    pub eal_args: String,
}

impl DpdkConfig {
    /// The arguments one by one. Quotes are not interpreted.
    pub fn eal_arguments(&self) -> impl Iterator<Item = &str> {
        self.eal_args.split_whitespace()
    }
}

/// The cores that poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lcores {
    /// One worker, on a core the program chooses among those it may run on.
    #[default]
    Auto,
    /// These, in this order: the first runs worker 0. Never empty, no core twice.
    List(Vec<u16>),
}

const LCORES_FORM: &str =
    "expected \"auto\" or cores such as \"2\", \"2,4\" or \"2-5,8\", none twice, none above 1023";

impl FromStr for Lcores {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Lcores, &'static str> {
        if text.trim() == "auto" {
            return Ok(Lcores::Auto);
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let core =
                |text: &str| text.trim().parse().ok().filter(|core| *core <= MAX_CORE).ok_or(LCORES_FORM);
            let range = core(first)?..=core(last)?;
            if range.is_empty() || range.clone().any(|core| cores.contains(&core)) {
                return Err(LCORES_FORM);
            }
            cores.extend(range);
        }
        if cores.len() > MAX_WORKERS {
            return Err("expected at most 128 cores");
        }
        Ok(Lcores::List(cores))
    }
}

impl fmt::Display for Lcores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lcores::Auto => f.write_str("auto"),
            Lcores::List(cores) => {
                let cores: Vec<String> = cores.iter().map(u16::to_string).collect();
                f.write_str(&cores.join(","))
            }
        }
    }
}

impl Serialize for Lcores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lcores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lcores, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(LCORES_FORM))?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_listed_in_the_order_given() {
        assert_eq!("4,1-3".parse(), Ok(Lcores::List(vec![4, 1, 2, 3])));
        assert_eq!("auto".parse(), Ok(Lcores::Auto));
        assert_eq!("4,1-3".parse::<Lcores>().unwrap().to_string(), "4,1,2,3");
    }

    #[test]
    fn a_core_twice_or_out_of_range_is_refused() {
        for text in ["", "a", "1,1", "1-3,2", "3-1", "1024", "-1", "1-", "0-200"] {
            assert!(text.parse::<Lcores>().is_err(), "{text}");
        }
    }
}
