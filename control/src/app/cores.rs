//! Which cores poll and which are left for everything else.

use std::fs;

use super::AppError;
use crate::config::Lcores;

/// The cores of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    /// One worker on each, in this order.
    pub(super) workers: Vec<u16>,
    /// For sweeping, export and the endpoint; the workers' own where there are no others.
    pub(super) control: Vec<u16>,
}

impl Cores {
    /// Chooses among the cores the program may run on: as told, or the last one.
    pub(super) fn choose(lcores: &Lcores, allowed: &[u16]) -> Result<Cores, AppError> {
        let workers = match lcores {
            Lcores::List(cores) => cores.clone(),
            Lcores::Auto => allowed.last().copied().into_iter().collect(),
        };
        if let Some(missing) = workers.iter().find(|core| !allowed.contains(core)) {
            let among: Vec<_> = allowed.iter().map(u16::to_string).collect();
            return Err(AppError::Usage(format!(
                "worker.lcores = \"{lcores}\": this program may not run on core {missing}; choose among {}",
                among.join(",")
            )));
        }
        let free: Vec<u16> = allowed.iter().copied().filter(|core| !workers.contains(core)).collect();
        Ok(Cores { control: if free.is_empty() { workers.clone() } else { free }, workers })
    }

    /// Whether control threads have to share a core with a worker that never sleeps.
    pub(super) fn are_shared(&self) -> bool {
        self.control.iter().any(|core| self.workers.contains(core))
    }
}

/// The NUMA node of a core, where the machine has nodes.
pub(super) fn numa_node(core: u16) -> Option<u16> {
    let entries = fs::read_dir(format!("/sys/devices/system/cpu/cpu{core}")).ok()?;
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("node")?.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_takes_the_last_core_unless_told() {
        let chosen = Cores::choose(&Lcores::Auto, &[0, 1, 2]).unwrap();
        assert_eq!((chosen.workers.clone(), chosen.control.clone()), (vec![2], vec![0, 1]));
        assert!(!chosen.are_shared());
        let chosen = Cores::choose(&Lcores::List(vec![2, 0]), &[0, 1, 2]).unwrap();
        assert_eq!((chosen.workers, chosen.control), (vec![2, 0], vec![1]));
    }

    #[test]
    fn with_every_core_taken_control_shares() {
        let chosen = Cores::choose(&Lcores::List(vec![0, 1]), &[0, 1]).unwrap();
        assert!(chosen.are_shared());
    }

    #[test]
    fn a_core_that_is_not_ours_is_named() {
        let error = Cores::choose(&Lcores::List(vec![7]), &[0, 1]).unwrap_err().to_string();
        assert!(error.contains("core 7") && error.contains("0,1"), "{error}");
    }
}
