//! The shortest form: a closure is called on each input, and each call is a task of the store.
//!
//! ```text
//! cargo run --release --example squares
//! ```

fn main() -> flockwork::Result<()> {
    let squares = flockwork::map("squares.flock", 1..=1000u64, |n| Ok(n * n))
        .slots(4)
        .batch(100)
        .collect()?;
    println!(
        "{} squares, their sum is {}",
        squares.len(),
        squares.iter().sum::<u64>()
    );
    Ok(())
}
