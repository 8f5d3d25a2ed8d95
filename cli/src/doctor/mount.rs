//! Which mount a directory lies on, and with what options.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags};

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mount {
    pub(super) id: u64,
    pub(crate) point: String,
    pub(crate) fs_type: String,
    pub(crate) source: String,
    /// Of the mount and of the file system.
    pub(super) options: Vec<String>,
}

impl Mount {
    /// Says whether an option is set, such as `nolock`.
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }

    /// Returns the value of an option such as `vers=4.2`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let values = self.options.iter().filter_map(|option| option.split_once('='));
        values
            .filter(|(own, _)| *own == name)
            .map(|(_, value)| value)
            .next_back()
    }
}

/// Finds the mount that a directory lies on.
///
/// # Errors
///
/// If `/proc` is not there, or does not name the mount.
pub(crate) fn of(dir: &Path) -> io::Result<Mount> {
    let table = std::fs::read("/proc/self/mountinfo")?;
    let path = dir.canonicalize()?;
    let stat = rustix::fs::statx(CWD, &path, AtFlags::empty(), StatxFlags::MNT_ID)?;
    // Older kernels do not tell.
    let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    let id = told.then_some(stat.stx_mnt_id);
    let found = find(&parse(&table), id, &path);
    found.ok_or_else(|| io::Error::other("it is not in /proc/self/mountinfo"))
}

fn find(mounts: &[Mount], id: Option<u64>, path: &Path) -> Option<Mount> {
    let by_id = mounts.iter().find(|mount| Some(mount.id) == id);
    // The longest wins; of two on one directory the later, which hides the other.
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    let by_path = || above.max_by_key(|mount| mount.point.len());
    by_id.or_else(by_path).cloned()
}

fn parse(table: &[u8]) -> Vec<Mount> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let text = |at: usize| fields.get(at).map(|field| unescaped(field));
    let both = [text(5)?, text(dash + 3).unwrap_or_default()];
    let mut options: Vec<String> = Vec::new();
    for option in both.iter().flat_map(|options| options.split(',')) {
        if !options.iter().any(|own| own == option) {
            options.push(option.to_owned());
        }
    }
    Some(Mount {
        id: text(0)?.parse().ok()?,
        point: text(4)?,
        fs_type: text(dash + 1)?,
        source: text(dash + 2)?,
        options,
    })
}

/// Reads `\040` and its like.
fn unescaped(field: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(|_| *first == b'\\') {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::ffi::OsStr::from_bytes(&bytes).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
31 22 0:40 / /proj rw,nosuid master:3 propagate_from:1 - nfs4 fs01:/proj rw,vers=4.2,hard,local_lock=none
32 22 0:41 / /my\\040data rw - nfs fs01:/x\\011y rw,vers=3,nolock
33 31 0:42 / /proj rw - tmpfs none rw
a line that is none
";

    #[test]
    fn the_mount_of_a_path_is_found() {
        let mounts = parse(TABLE);
        assert_eq!(mounts.len(), 4);
        let kind = |id, path: &str| find(&mounts, id, Path::new(path)).map(|mount| mount.fs_type);
        assert_eq!(kind(Some(31), "/elsewhere").as_deref(), Some("nfs4"));
        assert_eq!(kind(None, "/proj/ana").as_deref(), Some("tmpfs"));
        assert_eq!(kind(None, "/project").as_deref(), Some("ext4"));
        assert_eq!(kind(Some(99), "/my data/x").as_deref(), Some("nfs"));
    }

    #[test]
    fn options_of_mount_and_file_system_are_one_list() {
        let mount = parse(TABLE).swap_remove(1);
        assert!(mount.has("nosuid") && mount.has("hard") && !mount.has("soft"));
        assert_eq!((mount.value("vers"), mount.value("timeo")), (Some("4.2"), None));
        assert_eq!(parse(TABLE)[2].source, "fs01:/x\ty");
    }

    #[test]
    fn the_mount_of_a_real_directory_is_found() {
        let place = tempfile::tempdir().unwrap();
        let mount = of(place.path()).unwrap();
        assert!(
            !mount.fs_type.is_empty() && place.path().starts_with(&mount.point),
            "{mount:?}"
        );
    }
}
