//! Settings as the operator meets them: precedence, refusals, and the annotated example.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use flowtable::{EndReason, Prefetching, TunnelKind};
use tapspan::config::{
    BatchSize, ByteCount, ConfigError, Dedup, DestinationConfig, Encapsulation, EventLevel, FileFormat,
    Given, Lcores, Listen, Loaded, LogFormat, Origin, Override, PortConfig, Seed, Settings, Transport, load,
};

const EXAMPLE: &str = include_str!("../../tapspan.example.toml");

fn parse(text: &str) -> Result<Settings, ConfigError> {
    Settings::from_toml(text, Path::new("probe.toml"))
}

fn refused(text: &str) -> String {
    let message = parse(text).expect_err(text).to_string();
    assert!(!message.contains('\n'), "more than one line: {message}");
    message
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_environment(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    load(None, variables(pairs), &[])
}

#[test]
fn nothing_given_is_the_defaults_without_a_warning() {
    let loaded = load(None, [], &[]).unwrap();
    assert_eq!(loaded, Loaded { settings: Settings::default(), warnings: vec![] });
}

#[test]
fn flags_go_over_environment_over_file_over_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("probe.toml");
    let text =
        "[flow]\ncapacity = 10\nactive_timeout = \"10s\"\nclose_linger = \"10s\"\n[worker]\nburst = 10\n";
    std::fs::write(&file, text).unwrap();
    let environment = variables(&[("TAPSPAN_FLOW_CAPACITY", "20"), ("TAPSPAN_FLOW_ACTIVE_TIMEOUT", "20s")]);
    let flags = [Override::flag("--capacity", "flow.capacity", "30")];
    let settings = load(Some(&file), environment, &flags).unwrap().settings;
    assert_eq!(settings.flow.capacity, 30, "flag over variable over file");
    assert_eq!(settings.flow.active_timeout, Duration::from_secs(20), "variable over file");
    assert_eq!(settings.flow.close_linger, Duration::from_secs(10), "file over default");
    assert_eq!(settings.flow.idle_timeout, Settings::default().flow.idle_timeout, "default");
}

#[test]
fn every_kind_of_value_is_read_from_the_file() {
    let settings = parse(
        r#"
        [[port]]
        device = "net_af_packet0,iface=eth1"
        rx_descriptors = "1Ki"
        [worker]
        lcores = "2-3"
        [flow]
        capacity = "2M"
        idle_timeout.udp = "500ms"
        key_vlan = false
        bytes = "frame"
        service_ports = [8080, 9092]
        seed = 7
        [export]
        batch_size = 100
        [[export.destination]]
        url = "grpc://collector:4317"
        timeout = "3s"
        compression = "gzip"
        headers = { authorization = "Bearer x" }
        [[export.destination]]
        url = "file:spans.binpb"
        format = "protobuf"
        [http]
        listen = "off"
        [log]
        format = "json"
        [resource.attributes]
        "service.name" = "probe"
        "#,
    )
    .unwrap();
    assert_eq!(settings.port[0].rx_descriptors, 1024);
    assert_eq!(settings.worker.lcores, Lcores::List(vec![2, 3]));
    assert_eq!(settings.flow.capacity, 2_000_000);
    assert_eq!(settings.flow.timeouts().udp_ns, 500_000_000);
    assert!(!settings.flow.key_vlan);
    assert_eq!(settings.flow.bytes, ByteCount::Frame);
    assert_eq!(settings.flow.service_ports, [8080, 9092]);
    assert_eq!(settings.flow.seed, Seed::Fixed(7));
    assert_eq!(settings.export.batch_size, BatchSize::Spans(100));
    assert_eq!(settings.export.destination[0].timeout, Some(Duration::from_secs(3)));
    assert_eq!(settings.export.destination[1].format, Some(FileFormat::Protobuf));
    assert_eq!(settings.http.listen, Listen::Off);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.resource.attributes["service.name"], "probe");
}

#[test]
fn every_kind_of_value_is_read_from_the_environment() {
    let settings = from_environment(&[
        ("TAPSPAN_PORTS", "0000:03:00.0,name=east net_af_packet0,iface=eth1,name=west"),
        ("TAPSPAN_WORKER_LCORES", "2,4"),
        ("TAPSPAN_FLOW_KEY_VLAN", "false"),
        ("TAPSPAN_FLOW_SERVICE_PORTS", "8080, 9092"),
        ("TAPSPAN_FLOW_IDLE_TIMEOUT_TCP_OPENING", "5s"),
        ("TAPSPAN_FLOW_SEED", "18446744073709551615"),
        ("TAPSPAN_EXPORT", "stdout grpc://localhost:4317"),
        ("TAPSPAN_EXPORT_BATCH_SIZE", "50"),
        ("TAPSPAN_HTTP_LISTEN", "off"),
        ("TAPSPAN_RESOURCE_ATTRIBUTES", "site=lab,rack=7"),
        ("TAPSPAN_DPDK_EAL_ARGS", "--no-huge -m 512"),
    ])
    .unwrap()
    .settings;
    assert_eq!(settings.port.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["east", "west"]);
    assert_eq!(settings.worker.lcores, Lcores::List(vec![2, 4]));
    assert!(!settings.flow.key_vlan);
    assert_eq!(settings.flow.service_ports, [8080, 9092]);
    assert_eq!(settings.flow.timeouts().tcp_opening_ns, 5_000_000_000);
    assert_eq!(settings.flow.seed, Seed::Fixed(u64::MAX));
    assert_eq!(settings.export.destination[1], DestinationConfig::new("grpc://localhost:4317"));
    assert_eq!(settings.export.batch_size, BatchSize::Spans(50));
    assert_eq!(settings.http.listen, Listen::Off);
    assert_eq!(settings.resource.attributes["rack"], "7");
    assert_eq!(settings.dpdk.eal_arguments().collect::<Vec<_>>(), ["--no-huge", "-m", "512"]);
}

#[test]
fn flows_tunnels_filters_and_spans_are_set_by_variables() {
    let settings = from_environment(&[
        ("TAPSPAN_FLOW_KEY_TUNNEL", "false"),
        ("TAPSPAN_FLOW_DETAILS", "64k"),
        ("TAPSPAN_FLOW_PREFETCHING", "bursts-twice"),
        ("TAPSPAN_FLOW_DEDUP", "500us,1024"),
        ("TAPSPAN_FLOW_OWN_TRAFFIC", "true"),
        ("TAPSPAN_SPAN_EVENTS", "all"),
        ("TAPSPAN_SPAN_INCLUDE", "tunnel.*"),
        ("TAPSPAN_SPAN_EXCLUDE", "flow.ip.ttl,tunnel.network.*"),
        ("TAPSPAN_TUNNEL_OFF", "gre,mpls"),
        ("TAPSPAN_TUNNEL_VXLAN_PORTS", "4789,8472"),
        ("TAPSPAN_FILTER_CAPTURE", "tcp port 443, or so"),
        ("TAPSPAN_FILTER_SAMPLE", "1k"),
        ("TAPSPAN_FILTER_RECORD_ADDRESSES", "10.0.0.0/8,2001:db8::1"),
        ("TAPSPAN_FILTER_RECORD_EXCLUDE_PORTS", "22, 53"),
        ("TAPSPAN_FILTER_RECORD_TRANSPORTS", "tcp,47"),
        ("TAPSPAN_FILTER_RECORD_END_REASONS", "idle_timeout"),
        ("TAPSPAN_FILTER_RECORD_MIN_BYTES", "1M"),
    ])
    .unwrap()
    .settings;
    assert!(!settings.flow.key_tunnel && settings.flow.own_traffic);
    assert_eq!(settings.flow.details(), 64_000);
    assert_eq!(settings.flow.prefetching, Some(Prefetching::ByBurstsTwice));
    assert_eq!(settings.flow.dedup, Dedup::Within { window: Duration::from_micros(500), packets: 1024 });
    assert_eq!(settings.span.events, EventLevel::All);
    let keys: Vec<_> = settings.span.selection().unwrap().iter().map(|row| row.key).collect();
    assert!(keys.contains(&"tunnel.id") && !keys.contains(&"tunnel.network.type"));
    assert!(!keys.contains(&"flow.ip.ttl") && keys.contains(&"flow.ip.dscp.id"));
    assert_eq!(settings.tunnel.off, [Encapsulation::Tunnel(TunnelKind::Gre), Encapsulation::Mpls]);
    assert_eq!(settings.tunnel.vxlan_ports, [4789, 8472]);
    assert_eq!(settings.filter.capture, "tcp port 443, or so");
    assert_eq!(settings.filter.sampling_rate(), Some(1_000));
    let record = settings.filter.record;
    assert_eq!(
        record.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "2001:db8::1/128"]
    );
    assert_eq!((record.ports.len(), &record.exclude_ports[..]), (0, &[22, 53][..]));
    assert_eq!(record.transports, [Transport(6), Transport(47)]);
    assert_eq!((record.end_reasons, record.min_bytes), (vec![EndReason::IdleTimeout], 1_000_000));
}

#[test]
fn details_are_a_quarter_of_the_capacity_unless_set() {
    let details = |text: &str| parse(text).unwrap().flow.details();
    assert_eq!(details("[flow]\ncapacity = 1000"), 250);
    assert_eq!(details("[flow]\ncapacity = 1000\ndetails = \"auto\""), 250);
    assert_eq!(details("[flow]\ncapacity = 1000\ndetails = 0"), 0);
}

#[test]
fn rust_log_is_honoured_and_the_own_variable_goes_over_it() {
    let level = |pairs: &[(&str, &str)]| from_environment(pairs).unwrap().settings.log.level;
    assert_eq!(level(&[("RUST_LOG", "debug")]), "debug");
    assert_eq!(level(&[("RUST_LOG", "debug"), ("TAPSPAN_LOG_LEVEL", "warn")]), "warn");
    let loaded = from_environment(&[("RUST_LOG", "some_crate")]).unwrap();
    assert_eq!((loaded.settings, loaded.warnings.len()), (Settings::default(), 1));
}

#[test]
fn an_empty_variable_is_not_set_and_an_unknown_one_is_warned_about() {
    let loaded = from_environment(&[
        ("TAPSPAN_FLOW_CAPACITY", ""),
        ("TAPSPAN_CONFIG", "probe.toml"),
        ("TAPSPAN_FLOW_CAPCITY", "5"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("did you mean TAPSPAN_FLOW_CAPACITY?"), "{:?}", loaded.warnings);
}

#[test]
fn flags_replace_the_ports_and_destinations_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("probe.toml");
    std::fs::write(&file, "[[port]]\ndevice = \"net_null0\"\n[[export.destination]]\nurl = \"stdout\"\n")
        .unwrap();
    let flag =
        |name: &str, key: &str, value| Override { origin: Origin::Flag(name.into()), key: key.into(), value };
    let flags = [
        flag("--port", "port", Given::Ports(vec![PortConfig::new("net_tap0")])),
        flag("--export", "export.destination", Given::Destinations(vec!["file:out.jsonl".into()])),
    ];
    let kept = load(Some(&file), [], &[]).unwrap().settings;
    let replaced = load(Some(&file), [], &flags).unwrap().settings;
    assert_eq!((kept.port[0].name.as_str(), kept.port.len()), ("net_null0", 1), "named by its device");
    assert_eq!((replaced.port[0].name.as_str(), replaced.port.len()), ("net_tap0", 1));
    assert_eq!(replaced.export.destination, [DestinationConfig::new("file:out.jsonl")]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_right_one() {
    for (text, message) in [
        ("[flow]\n\ncapcity = 5\n", "probe.toml:3: unknown key flow.capcity; did you mean flow.capacity?"),
        ("capacity = 5\n", "probe.toml:1: unknown key capacity; did you mean flow.capacity?"),
        (
            "[flow.idle_timeout]\ntpc = \"1s\"\n",
            "probe.toml:2: unknown key flow.idle_timeout.tpc; did you mean flow.idle_timeout.tcp?",
        ),
        (
            "[[port]]\ndevice = \"a\"\nnane = \"b\"\n",
            "probe.toml:3: unknown key port[0].nane; did you mean port[0].name?",
        ),
        ("[http]\nport = 5\n", "probe.toml:2: unknown key http.port; expected one of listen"),
    ] {
        assert_eq!(refused(text), message);
    }
    assert!(refused("colour = 1\n").contains("expected one of port, worker, dpdk, flow"));
}

#[test]
fn each_kind_of_bad_value_is_one_line_with_place_key_value_and_what_would_be_right() {
    for (text, start, end) in [
        ("[flow]\ncapacity = 0", "probe.toml:2: flow.capacity = 0", "expected 1 to 2147483648"),
        ("[flow]\ncapacity = 4294967296", "probe.toml:2: flow.capacity = 4294967296", "up to 4294967295"),
        ("[flow]\ncapacity = -1", "probe.toml:2: flow.capacity = -1", "expected a number from 0 up"),
        ("[flow]\ncapacity = \"many\"", "probe.toml:2: flow.capacity = \"many\"", "or \"1M\""),
        ("[flow]\ncapacity = true", "probe.toml:2: flow.capacity = true", "or \"1M\""),
        ("[flow]\nactive_timeout = 60", "probe.toml:2: flow.active_timeout = 60", "\"2m\" or \"1h\""),
        (
            "[flow]\nactive_timeout = \"60x\"",
            "probe.toml:2: flow.active_timeout = \"60x\"",
            "\"2m\" or \"1h\"",
        ),
        (
            "[flow]\nactive_timeout = \"0s\"",
            "probe.toml:2: flow.active_timeout = \"0s\"",
            "\"1ms\" to \"24h\"",
        ),
        ("[flow]\nkey_vlan = 1", "probe.toml:2: flow.key_vlan = 1", "expected a boolean"),
        ("[flow]\nbytes = \"l2\"", "probe.toml:2: flow.bytes = \"l2\"", "expected `ip` or `frame`"),
        ("[flow]\nseed = -1", "probe.toml:2: flow.seed = -1", "from 0 up to 2^64-1"),
        ("[flow]\nservice_ports = [0]", "probe.toml:2: flow.service_ports = [0]", "expected 1 to 65535"),
        ("[flow]\nsweep_interval = \"1ms\"", "probe.toml:2: flow.sweep_interval", "\"10ms\" to \"10s\""),
        ("[flow.idle_timeout]\nudp = \"0s\"", "probe.toml:2: flow.idle_timeout.udp", "\"1ms\" to \"24h\""),
        ("[flow]\nservice_ports = [65536]", "probe.toml:2: flow.service_ports", "65536: expected 1 to 65535"),
        (
            "[flow]\ndetails = \"some\"",
            "probe.toml:2: flow.details = \"some\": expected \"auto\" or a whole number",
            "or \"1M\"",
        ),
        (
            "[flow]\nprefetching = \"fours\"",
            "probe.toml:2: flow.prefetching = \"fours\": expected \"auto\", \"eights\", \"bursts\"",
            "or \"bursts-twice\"",
        ),
        (
            "[span]\ninclude = [\"tunnel\"]",
            "probe.toml:2: span.include = \"tunnel\"",
            "did you mean tunnel.*?",
        ),
        (
            "[flow]\ndetails = 4294967295",
            "probe.toml:2: flow.details = 4294967295",
            "expected 0 to 2147483648",
        ),
        ("[flow]\ndedup = \"500us\"", "probe.toml:2: flow.dedup = \"500us\"", "such as \"500us,1024\""),
        ("[flow]\ndedup = \"1m,9\"", "probe.toml:2: flow.dedup = \"1m,9\"", "expected \"1us\" to \"10s\""),
        ("[span]\nevents = \"some\"", "probe.toml:2: span.events", "expected one of `off`, `state`, `all`"),
        (
            "[span]\ninclude = [\"tunel.id\"]",
            "probe.toml:2: span.include = \"tunel.id\"",
            "did you mean tunnel.id?",
        ),
        (
            "[span]\nexclude = [\"source.*\"]",
            "probe.toml:2: span.exclude = \"source.*\"",
            "cannot be left out",
        ),
        ("[tunnel]\noff = [\"vlan\"]", "probe.toml:2: tunnel.off", "esp, mpls or pppoe"),
        ("[tunnel]\ngtp_ports = []", "probe.toml:2: tunnel.gtp_ports = []", "expected 1 to 4 ports"),
        ("[tunnel]\ngtp_ports = [1, 2, 3, 4, 5]", "probe.toml:2: tunnel.gtp_ports", "expected 1 to 4 ports"),
        ("[tunnel]\ngtp_ports = [0]", "probe.toml:2: tunnel.gtp_ports = [0]", "0: expected 1 to 65535"),
        ("[filter]\nsample = 0", "probe.toml:2: filter.sample = 0", "expected 1 to 4294967295"),
        (
            "[filter.record]\naddresses = [\"host\"]",
            "probe.toml:2: filter.record.addresses",
            "or 2001:db8::/32",
        ),
        ("[filter.record]\ntransports = [\"tpc\"]", "probe.toml:2: filter.record.transports", "up to 255"),
        (
            "[filter.record]\nend_reasons = [\"idle\"]",
            "probe.toml:2: filter.record.end_reasons",
            "lack_of_resources",
        ),
        ("[filter.record]\nmin_packets = -1", "probe.toml:2: filter.record.min_packets = -1", "from 0 up"),
        ("[worker]\nburst = 65", "probe.toml:2: worker.burst = 65", "expected 1 to 64"),
        ("[worker]\nlcores = \"3-1\"", "probe.toml:2: worker.lcores = \"3-1\"", "none above 1023"),
        ("[[port]]\nname = \"a\"", "probe.toml:1: port[0]", "missing field `device`"),
        ("[[port]]\ndevice = \"\"", "probe.toml:2: port[0].device = \"\"", "net_af_packet0,iface=eth1"),
        (
            "[[port]]\ndevice = \"a\"\nrx_descriptors = 1",
            "probe.toml:3: port[0].rx_descriptors = 1",
            "64 to 32768",
        ),
        ("[export]\nbatch_size = 0", "probe.toml:2: export.batch_size = 0", "expected 1 to 16384"),
        ("[[export.destination]]\nurl = \"tcp://a\"", "probe.toml:2: export.destination[0].url", "or stdout"),
        (
            "[[export.destination]]\nurl = \"stdout\"\ncert_file = \"a\"",
            "probe.toml:3: export.destination[0].cert_file",
            "cert_file and key_file together",
        ),
        (
            "[[export.destination]]\nurl = \"grpc://a\"\nformat = \"protobuf\"",
            "probe.toml:3: export.destination[0].format = \"protobuf\": expected with file:PATH only",
            "(stdout is text, and the network gets protobuf)",
        ),
        (
            "[[export.destination]]\nurl = \"file:a\"\nformat = \"proto\"",
            "probe.toml:3: export.destination[0].format = \"proto\"",
            "expected `json` or `protobuf`",
        ),
        ("[http]\nlisten = \"8277\"", "probe.toml:2: http.listen = \"8277\"", "or \"off\""),
        ("[log]\nlevel = \"loud\"", "probe.toml:2: log.level = \"loud\"", "\"warn,tapspan=debug\""),
        ("[log]\nformat = \"xml\"", "probe.toml:2: log.format = \"xml\"", "expected `text` or `json`"),
        (
            "[resource.attributes]\nsite = 1",
            "probe.toml:2: resource.attributes.site = 1",
            "expected a string",
        ),
    ] {
        let message = refused(text);
        assert!(message.starts_with(start) && message.ends_with(end), "{message}");
    }
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let message = refused("[flow]\ncapacity = \n");
    assert!(message.starts_with("probe.toml:2: not valid TOML: "), "{message}");
    let message = refused("[flow]\ncapacity = 1\ncapacity = 2\n");
    assert!(message.starts_with("probe.toml:3: not valid TOML: duplicate key"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let message = load(Some(Path::new("/nonexistent/probe.toml")), [], &[]).unwrap_err().to_string();
    assert!(
        message.starts_with("/nonexistent/probe.toml: cannot read the settings: No such file"),
        "{message}"
    );
}

#[test]
fn a_secret_header_stays_out_of_the_error() {
    let text = "[[export.destination]]\nurl = \"stdout\"\nheaders = { authorization = [\"s3cret\"] }\n";
    assert!(!refused(text).contains("s3cret"));
}

#[test]
fn a_bad_variable_or_flag_is_named_with_its_key() {
    let message = from_environment(&[("TAPSPAN_FLOW_CAPACITY", "lots")]).unwrap_err().to_string();
    assert!(
        message.starts_with("environment variable TAPSPAN_FLOW_CAPACITY: flow.capacity = \"lots\": expected")
    );
    let flag = |flag: &str, key: &str, value: &str| load(None, [], &[Override::flag(flag, key, value)]);
    let message = flag("--capacity", "flow.capacity", "0").unwrap_err().to_string();
    assert_eq!(message, "flag --capacity: flow.capacity = 0: expected 1 to 2147483648");
    let message = flag("--set", "flow.capcity", "5").unwrap_err().to_string();
    assert_eq!(message, "flag --set: unknown key flow.capcity; did you mean flow.capacity?");
    assert!(flag("--set", "resource.attributes.host.name", "probe").is_ok());
}

#[test]
fn settings_that_contradict_each_other_are_refused_once_all_are_known() {
    let together =
        |pairs: &[(&str, &str)]| from_environment(pairs).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(together(&[("TAPSPAN_EXPORT_BATCH_SIZE", "20"), ("TAPSPAN_EXPORT_QUEUE_SIZE", "20")]), Ok(()));
    for (pairs, key) in [
        (
            &[("TAPSPAN_EXPORT_BATCH_SIZE", "20"), ("TAPSPAN_EXPORT_QUEUE_SIZE", "10")][..],
            "export.batch_size = 20",
        ),
        (&[("TAPSPAN_EXPORT", "stdout stdout")], "export.destination[1].url = \"stdout\""),
        (
            &[("TAPSPAN_TUNNEL_VXLAN_PORTS", "6081"), ("TAPSPAN_FLOW_CAPACITY", "5")],
            "tunnel.geneve_ports = [6081]",
        ),
        (&[("TAPSPAN_PORTS", "net_null0 net_null0,name=b")], "port[1].device = \"net_null0\""),
        (&[("TAPSPAN_PORTS", "net_null0,name=a net_null1,name=a")], "port[1].name = \"a\""),
    ] {
        let message = together(pairs).unwrap_err();
        assert!(message.starts_with(&format!("settings: {key}: ")), "{message}");
    }
}

#[test]
fn the_example_loads_and_equals_the_defaults() {
    assert_eq!(Settings::from_toml(EXAMPLE, Path::new("tapspan.example.toml")).unwrap(), Settings::default());
}

#[test]
fn the_example_with_its_commented_settings_has_every_key() {
    let whole: String = EXAMPLE.lines().map(|line| format!("{}\n", uncommented(line))).collect();
    let settings =
        Settings::from_toml(&whole, Path::new("tapspan.example.toml")).expect("all settings are right");
    let written: toml::Table = whole.parse().unwrap();
    let all = toml::Table::try_from(&settings).unwrap();
    assert_eq!(keys(&written), keys(&all));
    let defaults = PortConfig::new("net_af_packet0,iface=eth1");
    assert_eq!(
        settings.port,
        [PortConfig { name: "uplink".into(), ..defaults }],
        "the defaults shown are right"
    );
}

/// A line `#key = ...` or `#[[...]]` without its mark; prose has a blank behind it.
fn uncommented(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    }
}

fn keys(table: &toml::Table) -> BTreeSet<String> {
    fn collect(prefix: &str, value: &toml::Value, keys: &mut BTreeSet<String>) {
        match value {
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| collect(&format!("{prefix}.{key}"), value, keys));
            }
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                items.iter().for_each(|item| collect(&format!("{prefix}[]"), item, keys));
            }
            _ => {
                keys.insert(prefix.to_owned());
            }
        }
    }
    let mut keys = BTreeSet::new();
    collect("", &toml::Value::Table(table.clone()), &mut keys);
    keys
}
