//! What a worker has to offer, and how its slots share it.
