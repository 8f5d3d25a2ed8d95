//! What an inode holds: as it is, and as a power cut would leave it.

use std::sync::Arc;

use super::tree::Names;

#[derive(Debug, Clone)]
pub(super) enum Body {
    File {
        bytes: Arc<Vec<u8>>,
        synced: Arc<Vec<u8>>,
    },
    Dir {
        names: Names,
        synced: Names,
    },
}

impl Body {
    pub(super) fn new_file() -> Body {
        Body::File {
            bytes: Arc::default(),
            synced: Arc::default(),
        }
    }

    pub(super) fn new_dir() -> Body {
        Body::Dir {
            names: Arc::default(),
            synced: Arc::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Body::File { bytes, .. } => bytes.len() as u64,
            Body::Dir { .. } => 0,
        }
    }

    pub(super) fn sync(&mut self) {
        match self {
            Body::File { bytes, synced } => *synced = Arc::clone(bytes),
            Body::Dir { names, synced } => *synced = Arc::clone(names),
        }
    }

    pub(super) fn lose_what_was_not_synced(&mut self) {
        match self {
            Body::File { bytes, synced } => *bytes = Arc::clone(synced),
            Body::Dir { names, synced } => *names = Arc::clone(synced),
        }
    }
}
