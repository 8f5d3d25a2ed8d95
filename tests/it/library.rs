//! Runs within one process.

use std::time::Duration;

use flockwork::{Durability, StoreConfig};

fn quick() -> StoreConfig {
    StoreConfig::default()
        .durability(Durability::Process)
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
}

#[test]
fn the_closure_form_gives_outputs_in_order() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("squares.flock");
    let squares = flockwork::map(&path, 1..=3000u64, |n| Ok(n * n))
        .slots(4)
        .store_config(quick())
        .collect()
        .unwrap();
    assert_eq!(squares, (1..=3000u64).map(|n| n * n).collect::<Vec<_>>());
    let again = flockwork::map(&path, 1..=3000u64, |_| -> Result<u64, _> {
        Err("it is done already".into())
    });
    assert_eq!(again.collect().unwrap(), squares);
}
