//! Settings as plain data, each default documented.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::Codec;

/// What an accepted outcome survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Durability {
    /// The default: what counts as done is on the disk, also after a power cut.
    #[default]
    Power,
    /// What counts as done survives every kill of every process, but on a local file system not a power cut:
    /// then outcomes may be missing (they are done again) or damaged (that is noticed, and they are done
    /// again). Much faster for short tasks. Network file systems are synced before publishing all the same.
    Process,
}

/// Who may read and write the files of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Sharing {
    /// The default: only the user who made the store (modes 0600 and 0700).
    #[default]
    Private,
    /// The group of the directory too (modes 0660 and 2770). Members of the group can change everything.
    Group,
}

/// Settings that a store is made with; every master and worker of the store follows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    pub(crate) codec: Codec,
    pub(crate) durability: Durability,
    pub(crate) sharing: Sharing,
    pub(crate) retries: u32,
    #[serde(with = "seconds")]
    pub(crate) backoff_least: Duration,
    #[serde(with = "seconds")]
    pub(crate) backoff_greatest: Duration,
    #[serde(with = "optional_seconds")]
    pub(crate) lease: Option<Duration>,
    #[serde(with = "optional_seconds")]
    pub(crate) timeout: Option<Duration>,
    pub(crate) tail: f64,
    pub(crate) max_record: u64,
    pub(crate) network: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            codec: Codec::default(),
            durability: Durability::default(),
            sharing: Sharing::default(),
            retries: 2,
            backoff_least: Duration::from_secs(1),
            backoff_greatest: Duration::from_secs(60),
            lease: None,
            timeout: None,
            tail: 0.05,
            max_record: 64 << 20,
            network: false,
        }
    }
}

impl StoreConfig {
    /// Sets how inputs and outputs are written. Default: [`Codec::Bincode`].
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Sets what an accepted outcome survives. Default: [`Durability::Power`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets who may read and write the store. Default: [`Sharing::Private`].
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Sets how often a task is tried again after it failed or its worker was lost. Default: 2, so three
    /// attempts in all. Attempts that were given back do not count.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the wait before a failed task is tried again: `least` after the first failure, doubling up to
    /// `greatest`. Default: 1 s to 60 s. The worker on which it failed waits longer than the others.
    pub fn backoff(mut self, least: Duration, greatest: Duration) -> Self {
        (self.backoff_least, self.backoff_greatest) = (least, greatest);
        self
    }

    /// Sets after how long without a sign of life an attempt is given up. Heartbeats come at a fifth of it.
    ///
    /// Default: 60 s on local file systems, 300 s on others (longer than an NFS server's lease, grace and
    /// attribute cache together). A worker that was killed is found at once where the kernel can tell: on the
    /// same host, or where its lock is seen to be free.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets how long one task may take. Default: no limit.
    ///
    /// A task is first asked to stop ([`Task::should_stop`](crate::Task::should_stop)); an output that it still gives is
    /// taken. If it has not returned 10 s later (see [`WorkerConfig::grace`](crate::WorkerConfig::grace)), its thread is
    /// left behind, and the attempt has failed.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the share of a round that counts as its tail. Default: 0.05; 0 switches the rule off.
    ///
    /// In the tail, or when a worker has more idle slots than there are open input files, a task that has been
    /// running for over three times the median (and over 5 s) is given to an idle worker too; the first
    /// outcome wins.
    pub fn tail(mut self, tail: f64) -> Self {
        self.tail = tail;
        self
    }

    /// Sets the largest input and output in bytes. Default: 64 MiB; at most 2 GiB.
    pub fn max_record(mut self, bytes: u64) -> Self {
        self.max_record = bytes;
        self
    }

    /// Says that other hosts use the store, although its file system looks local here. Default: false.
    ///
    /// Set it when this host is the file *server* of the others: then its own locks do not exclude theirs, and
    /// no event tells of their changes.
    pub fn network(mut self, network: bool) -> Self {
        self.network = network;
        self
    }

    /// Returns what makes no sense in these settings.
    pub(crate) fn problem(&self) -> Option<String> {
        if !(0.0..=1.0).contains(&self.tail) {
            return Some(format!("`tail` is a share from 0 to 1, not {}", self.tail));
        }
        if self.max_record == 0 || self.max_record > 2 << 30 {
            return Some(format!(
                "`max_record` is 1 byte to 2 GiB, not {}",
                self.max_record
            ));
        }
        if self.lease.is_some_and(|lease| lease < Duration::from_millis(500)) {
            return Some("`lease` is at least half a second".into());
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Some("`timeout` is longer than nothing".into());
        }
        None
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

mod optional_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.serialize_some(&duration.as_secs_f64()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(deserializer)?;
        seconds
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_json() {
        let config = StoreConfig::default()
            .codec(Codec::Json)
            .lease(Duration::from_millis(1500))
            .sharing(Sharing::Group)
            .timeout(Duration::from_secs(90));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<StoreConfig>(&text).unwrap(), config);
        assert!(text.contains("\"lease\":1.5"), "{text}");
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(StoreConfig::default().problem(), None);
        for config in [
            StoreConfig::default().tail(f64::NAN),
            StoreConfig::default().max_record(0),
            StoreConfig::default().lease(Duration::ZERO),
            StoreConfig::default().timeout(Duration::ZERO),
        ] {
            assert!(config.problem().is_some(), "{config:?}");
        }
        assert!(serde_json::from_str::<StoreConfig>("{\"lease\":-1}").is_err());
    }
}
