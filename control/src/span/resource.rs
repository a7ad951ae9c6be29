//! The OTLP resource: which program on which machine the spans come from.
//!
//! Sources in rising order: what the program knows of itself and its host, the operator's settings,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`. A later one replaces the value of an earlier one; a key never stands
//! twice. The environment is handed in by the caller.

use sha1::{Digest, Sha1};

/// Namespace OpenTelemetry's conventions give for a `service.instance.id` that is a UUID version 5.
const INSTANCE_NAMESPACE: [u8; 16] = 0x4d63_009a_8d0f_11ee_aad7_4c79_6ed8_e320_u128.to_be_bytes();
const SERVICE_NAME: &str = "service.name";
const MACHINE_ID_PATH: &str = "/etc/machine-id";

/// Attributes of the resource, in order of first appearance, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    attributes: Vec<(String, String)>,
}

/// What is known of the machine the probe runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// `host.name`; left out where `None`.
    pub name: Option<String>,
    /// `host.id`; left out where `None`.
    pub id: Option<String>,
}

/// Everything a resource is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceSources<'a> {
    /// The machine.
    pub host: Option<&'a HostFacts>,
    /// Tells instances on one machine apart, such as the configured name; part of `service.instance.id`. The same text gives
    /// the same id, so leave process ids and times out of it.
    pub instance: &'a str,
    /// The operator's settings.
    pub settings: &'a [(String, String)],
    /// Value of `OTEL_RESOURCE_ATTRIBUTES`.
    pub env_attributes: Option<&'a str>,
    /// Value of `OTEL_SERVICE_NAME`.
    pub env_service_name: Option<&'a str>,
}

/// What is wrong with `OTEL_RESOURCE_ATTRIBUTES`. As OpenTelemetry asks, the whole variable is refused then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// A member has no `=`.
    #[error("OTEL_RESOURCE_ATTRIBUTES: `{0}` is not of the form key=value")]
    NoValue(String),
    /// A member begins with `=`.
    #[error("OTEL_RESOURCE_ATTRIBUTES: `{0}` has an empty key")]
    NoKey(String),
    /// `%` without two hexadecimal digits, or octets that are not UTF-8.
    #[error("OTEL_RESOURCE_ATTRIBUTES: `{0}` is not percent-encoded UTF-8; write a percent sign as %25")]
    BadEncoding(String),
}

impl HostFacts {
    /// Asks the operating system: host name and `/etc/machine-id`. Reads a file.
    pub fn of_this_machine() -> HostFacts {
        let name = gethostname::gethostname().into_string().ok().filter(|name| !name.is_empty());
        let id = std::fs::read_to_string(MACHINE_ID_PATH).ok();
        let id = id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        HostFacts { name, id }
    }
}

impl Resource {
    /// Puts the sources together.
    ///
    /// # Errors
    /// Where `OTEL_RESOURCE_ATTRIBUTES` cannot be read.
    pub fn new(sources: &ResourceSources<'_>) -> Result<Resource, ResourceError> {
        let mut resource = Resource::default();
        resource.describe_program(sources);
        for (key, value) in sources.settings {
            resource.set(key, value);
        }
        if let Some(text) = sources.env_attributes {
            for (key, value) in parse_env_attributes(text)? {
                resource.set(&key, &value);
            }
        }
        if let Some(name) = sources.env_service_name.filter(|name| !name.is_empty()) {
            resource.set(SERVICE_NAME, name);
        }
        Ok(resource)
    }

    /// Keys and values, each key once.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    fn describe_program(&mut self, sources: &ResourceSources<'_>) {
        let host = sources.host.cloned().unwrap_or_default();
        let machine = host.id.as_deref().or(host.name.as_deref()).unwrap_or_default();
        self.set(SERVICE_NAME, env!("CARGO_PKG_NAME"));
        self.set("service.version", env!("CARGO_PKG_VERSION"));
        self.set("service.instance.id", &instance_id(machine, sources.instance));
        if let Some(name) = &host.name {
            self.set("host.name", name);
        }
        if let Some(id) = &host.id {
            self.set("host.id", id);
        }
        self.set("os.type", std::env::consts::OS);
        self.set("telemetry.sdk.name", env!("CARGO_PKG_NAME"));
        self.set("telemetry.sdk.language", "rust");
        self.set("telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
    }

    fn set(&mut self, key: &str, value: &str) {
        match self.attributes.iter_mut().find(|(other, _)| other == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.attributes.push((key.to_owned(), value.to_owned())),
        }
    }
}

/// A UUID version 5 (RFC 9562 §5.5) of machine and instance.
fn instance_id(machine: &str, instance: &str) -> String {
    let digest = Sha1::new()
        .chain_update(INSTANCE_NAMESPACE)
        .chain_update(machine)
        .chain_update("/")
        .chain_update(instance)
        .finalize();
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// `key=value` members separated by commas, keys and values percent-encoded, white space around them ignored.
fn parse_env_attributes(text: &str) -> Result<Vec<(String, String)>, ResourceError> {
    let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
    members.map(parse_member).collect()
}

fn parse_member(member: &str) -> Result<(String, String), ResourceError> {
    let (key, value) = member.split_once('=').ok_or_else(|| ResourceError::NoValue(member.to_owned()))?;
    let bad_encoding = || ResourceError::BadEncoding(member.to_owned());
    let key = percent_decode(key.trim()).ok_or_else(bad_encoding)?;
    let value = percent_decode(value.trim()).ok_or_else(bad_encoding)?;
    if key.is_empty() {
        return Err(ResourceError::NoKey(member.to_owned()));
    }
    Ok((key, value))
}

/// RFC 3986 §2.1; `None` where a `%` is not followed by two hexadecimal digits or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
            plain => plain,
        };
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostFacts {
        HostFacts { name: Some("probe7".to_owned()), id: Some("0123456789abcdef0123456789abcdef".to_owned()) }
    }

    fn build(sources: &ResourceSources<'_>) -> Resource {
        Resource::new(&ResourceSources { host: Some(&host()), instance: "tap", ..*sources }).unwrap()
    }

    #[test]
    fn the_program_describes_itself_and_its_host() {
        let resource = build(&ResourceSources::default());
        assert_eq!(resource.get("service.name"), Some("tapspan"));
        assert_eq!(resource.get("service.version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(resource.get("host.name"), Some("probe7"));
        assert_eq!(resource.get("host.id"), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(resource.get("os.type"), Some(std::env::consts::OS));
        assert_eq!(resource.get("telemetry.sdk.name"), Some("tapspan"));
        assert_eq!(resource.get("telemetry.sdk.language"), Some("rust"));
        assert!(resource.get("telemetry.sdk.version").is_some());
    }

    #[test]
    fn later_sources_replace_earlier_ones_and_no_key_stands_twice() {
        let settings = [("service.name", "from-file"), ("site", "north"), ("rack", "4"), ("site", "south")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut sources = ResourceSources { settings: &settings, ..ResourceSources::default() };
        assert_eq!(build(&sources).get("service.name"), Some("from-file"));

        sources.env_attributes = Some("service.name=from-attributes,site=west,host.name=other");
        let resource = build(&sources);
        assert_eq!(resource.get("service.name"), Some("from-attributes"));
        assert_eq!((resource.get("site"), resource.get("rack")), (Some("west"), Some("4")));
        assert_eq!(resource.get("host.name"), Some("other"));

        sources.env_service_name = Some("from-name");
        let resource = build(&sources);
        assert_eq!(resource.get("service.name"), Some("from-name"));
        let mut keys: Vec<_> = resource.attributes().map(|(key, _)| key).collect();
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn an_empty_service_name_variable_counts_as_unset() {
        let resource = build(&ResourceSources { env_service_name: Some(""), ..ResourceSources::default() });
        assert_eq!(resource.get("service.name"), Some("tapspan"));
    }

    #[test]
    fn the_instance_id_is_a_stable_uuid_that_tells_instances_apart() {
        let one = instance_id("machine", "tap0");
        assert_eq!(one, instance_id("machine", "tap0"));
        assert_ne!(one, instance_id("machine", "tap1"));
        assert_ne!(one, instance_id("other", "tap0"));
        let parts: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&one[14..15], "5");
        assert!("89ab".contains(&one[19..20]));
    }

    #[test]
    fn environment_attributes_are_percent_decoded() {
        let parsed = parse_env_attributes(" a = 1%2C2%3d3 ,b%20c=x=y,, d=, e=%C3%A9%e2%82%ac,").unwrap();
        let expected = [("a", "1,2=3"), ("b c", "x=y"), ("d", ""), ("e", "é€")];
        assert_eq!(parsed, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(parse_env_attributes(""), Ok(Vec::new()));
    }

    #[test]
    fn a_broken_environment_variable_is_refused_and_names_the_member() {
        let refused = [
            ("a=1,b", ResourceError::NoValue("b".to_owned())),
            ("=1", ResourceError::NoKey("=1".to_owned())),
            ("a=%", ResourceError::BadEncoding("a=%".to_owned())),
            ("a=%4", ResourceError::BadEncoding("a=%4".to_owned())),
            ("a=%zz", ResourceError::BadEncoding("a=%zz".to_owned())),
            ("a=%ff", ResourceError::BadEncoding("a=%ff".to_owned())),
        ];
        for (text, error) in refused {
            assert_eq!(parse_env_attributes(text), Err(error));
        }
    }
}
