//! Finds DPDK with pkg-config, compiles the shim and generates the bindings.
//!
//! Drivers are plugins that EAL loads at run time, so only the core libraries are linked; no rpath is emitted.

use std::env;
use std::path::PathBuf;
use std::process::exit;

const OLDEST_DPDK: &str = "22.11";
/// In link order: what uses before what is used.
const LIBRARIES: [&str; 5] = ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_eal"];

/// The functions the crate gives, beside all of the shim.
const FUNCTIONS: [&str; 31] = [
    "rte_dev_probe",
    "rte_eal_cleanup",
    "rte_eal_get_runtime_dir",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_close",
    "rte_eth_dev_configure",
    "rte_eth_dev_count_avail",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_get_name_by_port",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_rss_hash_conf_get",
    "rte_eth_dev_rss_hash_update",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_find_next",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_disable",
    "rte_eth_promiscuous_enable",
    "rte_eth_rx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_stats_reset",
    "rte_eth_tx_queue_setup",
    "rte_mempool_avail_count",
    "rte_mempool_free",
    "rte_pktmbuf_pool_create",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_version",
    "tapspan_.*",
];

const CONSTANTS: [&str; 5] = [
    "RTE_MAX_LCORE",
    "RTE_PKTMBUF_HEADROOM",
    "RTE_MBUF_DEFAULT_DATAROOM",
    "RTE_ETH_NAME_MAX_LEN",
    "TAPSPAN_.*",
];

fn main() {
    println!("cargo::rerun-if-changed=wrapper.h");
    println!("cargo::rerun-if-changed=shim.h");
    println!("cargo::rerun-if-changed=shim.c");

    let dpdk = pkg_config::Config::new()
        .atleast_version(OLDEST_DPDK)
        .cargo_metadata(false)
        .env_metadata(true)
        .probe("libdpdk")
        .unwrap_or_else(|_| {
            stop(
                "DPDK 22.11 or later was not found by pkg-config: `apt-get install libdpdk-dev libclang-dev \
                 pkg-config`, or build without live capture: `--no-default-features`",
            )
        });
    for path in &dpdk.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }

    let flags = compiler_flags(&dpdk);
    compile_shim(&flags);
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    generate_bindings(&flags);
}

/// The flags of `pkg-config --cflags`, with the two that the crate `pkg-config` leaves out.
fn compiler_flags(dpdk: &pkg_config::Library) -> Vec<String> {
    let mut flags: Vec<String> =
        dpdk.include_paths.iter().map(|path| format!("-I{}", path.display())).collect();
    flags.push("-include".to_owned());
    flags.push("rte_config.h".to_owned());
    // The oldest processor DPDK's own headers compile for.
    match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => flags.push("-march=corei7".to_owned()),
        Ok("aarch64") => flags.push("-march=armv8-a+crc".to_owned()),
        _ => {}
    }
    flags
}

fn compile_shim(flags: &[String]) {
    let mut shim = cc::Build::new();
    shim.file("shim.c").warnings(false).opt_level(3);
    for flag in flags {
        shim.flag(flag);
    }
    if let Err(error) = shim.try_compile("tapspan_shim") {
        stop(&format!("the C shim over DPDK does not compile; is a C compiler installed? {error}"));
    }
}

fn generate_bindings(flags: &[String]) {
    // bindgen panics where libclang is missing; the message is ours to give.
    std::panic::set_hook(Box::new(|_| {}));
    let builder = || {
        let mut builder = bindgen::Builder::default()
            .header("wrapper.h")
            .clang_args(flags)
            .opaque_type("rte_mbuf|rte_mempool|rte_device|rte_eth_rxseg|rte_eth_fc_conf")
            .layout_tests(false)
            .generate_comments(false)
            .derive_default(true)
            .prepend_enum_name(false)
            .formatter(bindgen::Formatter::None)
            .blocklist_file(".*/(stdio|pthread).*");
        for name in FUNCTIONS {
            builder = builder.allowlist_function(name);
        }
        for name in CONSTANTS {
            builder = builder.allowlist_var(name);
        }
        builder.generate()
    };
    let bindings = match std::panic::catch_unwind(builder) {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => stop(&format!("bindgen cannot read the headers of DPDK: {error}")),
        Err(_) => stop("libclang was not found, which bindgen needs: `apt-get install libclang-dev`"),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    if let Err(error) = bindings.write_to_file(&out) {
        stop(&format!("cannot write {}: {error}", out.display()));
    }
}

/// Ends the build with one line.
fn stop(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(0)
}
