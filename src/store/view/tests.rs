//! Readers beside masters and workers, on real directories.
