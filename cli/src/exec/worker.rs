//! The worker of a sweep: gives the library's tasks to commands.
