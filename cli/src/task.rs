//! What a task is given and what it gives: the types that stand in the store.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as a program takes or gives them: whatever they are, they reach the store and come back unchanged.
///
/// In formats for people (JSON) they are text, with U+FFFD for what is no UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    /// Returns the bytes as text for people.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl<T: Into<Vec<u8>>> From<T> for Bytes {
    fn from(bytes: T) -> Bytes {
        Bytes(bytes.into())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&self.text()),
            false => serializer.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        match deserializer.is_human_readable() {
            true => String::deserialize(deserializer).map(Bytes::from),
            false => deserializer.deserialize_byte_buf(BytesVisitor),
        }
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(Bytes(bytes))
    }
}

/// What a task is given: the values of a row, in the order of the sweep's columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) values: Vec<Bytes>,
    /// It was cancelled before it was in the store: its worker ends it at once.
    pub(crate) cancelled: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be started.
    NotStarted,
}

/// What an attempt at a command came to; of a task that is ok it is the output, of another the failure's detail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) exit: Exit,
    /// The host it ran on.
    pub(crate) host: String,
    /// When it began by that host's clock, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// How long it took, in microseconds.
    pub(crate) wall_us: u64,
    /// Processor time of the command and of the children it waited for, in microseconds.
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    /// The largest resident set of one of its processes, in bytes; the kernel never says less than its worker's own.
    pub(crate) peak: u64,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// The named results, in the order of the sweep's specifications, or as the program named them.
    pub(crate) results: Vec<(String, Bytes)>,
}

/// An output stream of a command: its head, and its tail if it was longer than the limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Captured {
    pub(crate) head: Bytes,
    /// Empty unless something was left out.
    pub(crate) tail: Bytes,
    /// How many bytes there were.
    pub(crate) total: u64,
}

impl Captured {
    /// Returns how many bytes were left out between head and tail.
    pub(crate) fn omitted(&self) -> u64 {
        let kept = (self.head.0.len() + self.tail.0.len()) as u64;
        // Text from JSON may be longer than the bytes were.
        self.total.saturating_sub(kept)
    }
}
