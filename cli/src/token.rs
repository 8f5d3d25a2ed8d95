//! Words that nobody else knows: by them what is ours is told from all the rest.

use std::io;

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

/// Returns a new one: 32 hexadecimal digits.
///
/// # Errors
///
/// If the system gives no random numbers.
pub(crate) fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    let count = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))?;
    match count == bytes.len() {
        true => Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        false => Err(io::Error::other("the system gives too few random numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert!(one != other && one.len() == 32, "{one} {other}");
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }
}
