//! Inputs and outputs of stores whose types are not known here: of a user's own program.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// A value of any type, which is read and forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opaque;

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Opaque, D::Error> {
        match deserializer.is_human_readable() {
            true => IgnoredAny::deserialize(deserializer).map(|_| Opaque),
            // bincode cannot pass over what it does not know, but it can be asked for bytes until there are none.
            false => deserializer.deserialize_tuple(usize::MAX, ToTheEnd),
        }
    }
}

struct ToTheEnd;

impl<'de> Visitor<'de> for ToTheEnd {
    type Value = Opaque;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Opaque, A::Error> {
        while let Ok(Some(_)) = seq.next_element::<u8>() {}
        Ok(Opaque)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flockwork::{Codec, Entry, Store, StoreConfig};

    use super::*;

    #[test]
    fn outcomes_of_any_type_can_be_counted_in_every_codec() {
        for codec in [Codec::Bincode, Codec::Json] {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("s.flock");
            let map: BTreeMap<String, Vec<Option<f64>>> = [("a".into(), vec![None, Some(1.5)])].into();
            flockwork::map(&path, 0..5u64, move |n| {
                let n: u64 = n;
                Ok((n, map.clone(), "text".to_owned(), ()))
            })
            .store_config(StoreConfig::default().codec(codec))
            .collect()
            .unwrap();
            let store = Store::open(&path).unwrap();
            let entries = store.outcomes::<Opaque, Opaque>().unwrap();
            let ok = entries.filter(|entry| matches!(entry, Ok(Entry::Ended(ended)) if ended.result.is_ok()));
            assert_eq!(ok.count(), 5, "{codec:?}");
        }
    }
}
