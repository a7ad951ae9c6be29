//! What the figures were taken on.

/// The processor as the kernel names it.
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    model
        .and_then(|line| line.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Instruction sets the program was built to use beyond the architecture's baseline, and the profile.
pub fn build_flags() -> String {
    let features = [
        ("sse4.2", cfg!(target_feature = "sse4.2")),
        ("aes", cfg!(target_feature = "aes")),
        ("avx2", cfg!(target_feature = "avx2")),
        ("avx512f", cfg!(target_feature = "avx512f")),
    ];
    let on: Vec<&str> = features.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let set = if on.is_empty() { "baseline".to_owned() } else { on.join("+") };
    format!("{profile}, {} {set}", std::env::consts::ARCH)
}

/// Keeps the calling thread on processor `cpu`; false where the system does not let it.
pub fn pin_to(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

/// Processors this process may use, lowest first; never empty.
pub fn cpus() -> Vec<usize> {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    if cpus.is_empty() { vec![0] } else { cpus.into_iter().map(|core| core.id).collect() }
}

/// How long the calling thread has waited for a processor while it could have run, in ns; 0 where the kernel does not
/// count that. Time the hypervisor gave to other machines is not in it.
pub fn waited_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0)
}
