//! Which file system a store lies on, in a few words.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};

/// Returns the kind of the file system and where it comes from, such as `nfs4` and `fs01:/proj`.
pub(super) fn of(dir: &Path) -> Option<(String, String)> {
    let path = dir.canonicalize().ok()?;
    let stat = rustix::fs::statx(CWD, &path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    // Older kernels do not tell.
    if !StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) {
        return None;
    }
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    find(&String::from_utf8_lossy(&table), &stat.stx_mnt_id.to_string())
}

fn find(table: &str, id: &str) -> Option<(String, String)> {
    let line = table.lines().find(|line| line.split(' ').next() == Some(id))?;
    let (_, file_system) = line.split_once(" - ")?;
    let mut fields = file_system.split(' ');
    let kind = fields.next()?.to_owned();
    Some((kind, fields.next()?.replace("\\040", " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_by_its_number() {
        let table = "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n\
                     31 22 0:40 / /proj rw master:3 - nfs4 fs01:/my\\040proj rw,vers=4.2\nnonsense\n";
        let found = find(table, "31").unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), ("nfs4", "fs01:/my proj"));
        assert_eq!(find(table, "3"), None);
        assert_eq!(find(table, "nonsense"), None);
    }
}
