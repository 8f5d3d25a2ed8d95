//! The floor: the bare system calls of the naive protocol, with no logic.
//!
//! Create: write a temporary file, rename it. Work: create a lock file, flock it, read the input, write a temporary
//! output, rename it, unlink the lock. Collect: read the output, unlink it, unlink the input.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

/// Creates the inputs.
pub(crate) fn create(store: &Path, tasks: u64, payload: &[u8]) {
    for dir in ["input", "output", "lock"] {
        fs::create_dir_all(store.join(dir)).expect("the store can be made");
    }
    for task in 0..tasks {
        let temporary = store.join(format!("input/{task:07}.tmp"));
        File::create(&temporary)
            .and_then(|mut file| file.write_all(payload))
            .expect("an input can be written");
        fs::rename(&temporary, store.join(format!("input/{task:07}"))).expect("an input can be renamed");
    }
}

/// Works through all inputs once, beginning at another place than the other workers.
pub(crate) fn work(store: &Path, worker: u64, workers: u64) {
    let mut names: Vec<String> = fs::read_dir(store.join("input"))
        .expect("the inputs can be listed")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let start = (names.len() as u64 * worker / workers.max(1)) as usize;
    names.rotate_left(start);
    let mut buffer = Vec::new();
    for name in names {
        let lock_path = store.join(format!("lock/{name}"));
        let output = store.join(format!("output/{name}"));
        let Ok(lock) = OpenOptions::new().write(true).create_new(true).open(&lock_path) else {
            continue;
        };
        fs2::FileExt::try_lock_exclusive(&lock).expect("a new file can be locked");
        // The one second look without which tasks run twice.
        if !output.exists() {
            buffer.clear();
            File::open(store.join(format!("input/{name}")))
                .and_then(|mut file| file.read_to_end(&mut buffer))
                .expect("an input can be read");
            let temporary = store.join(format!("output/{name}.tmp"));
            File::create(&temporary)
                .and_then(|mut file| file.write_all(&buffer))
                .expect("an output can be written");
            fs::rename(&temporary, &output).expect("an output can be renamed");
        }
        fs::remove_file(&lock_path).expect("a lock can be removed");
    }
}

/// Collects the outputs; returns how many there were.
pub(crate) fn collect(store: &Path, tasks: u64) -> u64 {
    let mut buffer = Vec::new();
    let mut found = 0;
    for task in 0..tasks {
        let output = store.join(format!("output/{task:07}"));
        buffer.clear();
        let read = File::open(&output).and_then(|mut file| file.read_to_end(&mut buffer));
        if read.is_ok() {
            found += 1;
            fs::remove_file(&output).expect("an output can be removed");
            fs::remove_file(store.join(format!("input/{task:07}"))).expect("an input can be removed");
        }
    }
    found
}
