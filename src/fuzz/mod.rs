//! What the targets of `fuzz/` check in this crate, one function for each: properties, and not only that nothing panics.
//!
//! Tests walk the corpora and mutations of them through the same functions, so that every `cargo test` looks for what was
//! found once. See `fuzz/README.md`.
#![cfg(any(test, fuzzing))]

mod done;
mod name;
mod record;
mod state;
mod store;

pub use done::done;
pub use name::name;
pub use record::record;
pub use state::{journal, store_json};
pub use store::store;

use crate::record::HEADER;

/// Returns the bytes with all records made whole as far as their lengths allow: no mutation hits a checksum.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    let mut rest = mended.as_mut_slice();
    while let Some((header, after)) = rest.split_at_mut_checked(HEADER) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        let Some((payload, after)) = after.split_at_mut_checked(length as usize) else {
            break;
        };
        header[0..2].copy_from_slice(b"fw");
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header[0..12]);
        crc.update(&header[16..24]);
        crc.update(payload);
        header[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
        rest = after;
    }
    mended
}

#[cfg(test)]
#[path = "../../fuzz/walk.rs"]
mod walk;

#[cfg(test)]
mod tests {
    use super::walk::walk;

    #[test]
    fn done() {
        walk("done", super::done);
    }

    #[test]
    fn journal() {
        walk("journal", super::journal);
    }

    #[test]
    fn name() {
        walk("name", super::name);
    }

    #[test]
    fn record() {
        walk("record", super::record);
    }

    #[test]
    fn store() {
        walk("store", super::store);
    }

    #[test]
    fn store_json() {
        walk("store_json", super::store_json);
    }
}
