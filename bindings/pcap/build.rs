//! Finds libpcap with pkg-config and generates the bindings.

use std::env;
use std::path::PathBuf;
use std::process::exit;

const OLDEST_LIBPCAP: &str = "1.9";

const FUNCTIONS: [&str; 6] =
    ["pcap_close", "pcap_compile", "pcap_freecode", "pcap_geterr", "pcap_offline_filter", "pcap_open_dead"];

const CONSTANTS: [&str; 2] = ["DLT_(EN10MB|RAW|PPP|LINUX_SLL|LINUX_SLL2|NULL|LOOP)", "PCAP_NETMASK_UNKNOWN"];

fn main() {
    println!("cargo::rerun-if-changed=wrapper.h");
    let pcap = pkg_config::Config::new()
        .atleast_version(OLDEST_LIBPCAP)
        .env_metadata(true)
        .probe("libpcap")
        .unwrap_or_else(|_| {
            stop("libpcap 1.9 or later was not found by pkg-config: `apt-get install libpcap-dev pkg-config`")
        });
    let flags: Vec<_> = pcap.include_paths.iter().map(|path| format!("-I{}", path.display())).collect();
    // bindgen panics where libclang is missing; the message is ours to give.
    std::panic::set_hook(Box::new(|_| {}));
    let generate = || {
        let builder = bindgen::Builder::default()
            .header("wrapper.h")
            .clang_args(&flags)
            .allowlist_function(FUNCTIONS.join("|"))
            .allowlist_var(CONSTANTS.join("|"))
            .default_macro_constant_type(bindgen::MacroTypeVariation::Unsigned)
            .layout_tests(false)
            .generate_comments(false)
            .formatter(bindgen::Formatter::None);
        builder.generate()
    };
    let bindings = match std::panic::catch_unwind(generate) {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => stop(&format!("bindgen cannot read the headers of libpcap: {error}")),
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
