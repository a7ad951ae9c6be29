//! Lists of words in settings: networks, protocols, ports, names. What a list may hold is said once, in [`Word`].
//!
//! Items are read from text and from whole numbers alike, because `--set` and variables make numbers of digits.

use std::fmt;

use flowtable::EndReason;
use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;

use crate::filter::{network, transport};
use crate::span::names;

/// One item of a list.
pub(super) trait Word: Sized {
    /// What an item must look like; stands behind "expected".
    const FORM: &'static str;

    fn read(text: &str) -> Option<Self>;

    /// So that [`Word::read`] gives it back.
    fn write(&self) -> String;
}

impl Word for IpNet {
    const FORM: &'static str = "addresses or networks, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32";

    fn read(text: &str) -> Option<IpNet> {
        network(text)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Word for EndReason {
    const FORM: &'static str =
        "idle_timeout, active_timeout, end_of_flow_detected, forced_end or lack_of_resources";

    fn read(text: &str) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    fn write(&self) -> String {
        self.as_str().to_owned()
    }
}

/// An IP protocol, under the name `network.transport` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport(pub u8);

impl Word for Transport {
    const FORM: &'static str = "names such as tcp, udp or icmp, or protocol numbers up to 255";

    fn read(text: &str) -> Option<Transport> {
        transport(text).map(Transport)
    }

    fn write(&self) -> String {
        names::transport(self.0).to_owned()
    }
}

/// A port number; 0 is none.
impl Word for u16 {
    const FORM: &'static str = "1 to 65535";

    fn read(text: &str) -> Option<u16> {
        text.parse().ok().filter(|port| *port > 0)
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// `#[serde(with)]` for a list: writes each item as text.
pub(super) fn serialize<T: Word, S: Serializer>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(Word::write))
}

/// Reads text or whole numbers; the error says what would be right.
pub(super) fn deserialize<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(List(std::marker::PhantomData))
}

/// The same for ports, which are written as numbers.
pub(super) mod ports {
    use serde::Serialize;
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    pub(in crate::config) fn serialize<S: Serializer>(
        ports: &[u16],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        ports.serialize(serializer)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u16>, D::Error> {
        super::deserialize(deserializer)
    }
}

struct List<T>(std::marker::PhantomData<T>);

impl<'de, T: Word> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", T::FORM)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Item>()? {
            let text = item.text();
            let word = T::read(text.trim());
            list.push(word.ok_or_else(|| de::Error::custom(format_args!("{text}: expected {}", T::FORM)))?);
        }
        Ok(list)
    }
}

/// An item as TOML has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Number(i64),
}

impl Item {
    fn text(self) -> String {
        match self {
            Item::Text(text) => text,
            Item::Number(number) => number.to_string(),
        }
    }
}
