//! What is known of a file system by its kind and its mount options; pure.

use super::finding::Finding;
use super::mount::Mount;

const KIND: &str = "file-system";
const OPTIONS: &str = "mount-options";

/// Who is kept out by a flock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// There is only this host.
    Local,
    /// Processes on all hosts.
    AllHosts,
    /// Processes on the same host, although other hosts see the files.
    OneHost,
    Unknown,
}

fn reach(mount: &Mount) -> Reach {
    match mount.fs_type.as_str() {
        "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "zfs" | "f2fs" | "jfs" | "reiserfs" | "bcachefs"
        | "nilfs2" | "tmpfs" | "ramfs" | "overlay" | "vfat" | "exfat" | "ntfs3" => Reach::Local,
        "nfs" | "nfs4" => match mount.value("local_lock") {
            Some("flock" | "all") => Reach::OneHost,
            _ if mount.has("nolock") => Reach::OneHost,
            _ => Reach::AllHosts,
        },
        "lustre" if mount.has("localflock") || mount.has("noflock") => Reach::OneHost,
        "lustre" | "ceph" | "fuse.ceph" | "fuse.glusterfs" | "fuse.mfs" | "fuse.moosefs" | "gfs2"
        | "ocfs2" => Reach::AllHosts,
        "cifs" | "smb3" if mount.has("nobrl") => Reach::OneHost,
        "cifs" | "smb3" => Reach::AllHosts,
        "gpfs" | "beegfs" | "fuse.sshfs" => Reach::OneHost,
        _ => Reach::Unknown,
    }
}

/// Says whether only this host uses such a file system.
pub(crate) fn is_local(mount: &Mount) -> bool {
    reach(mount) == Reach::Local
}

/// Says what the kind and the options mean for a store.
pub(super) fn judge(mount: &Mount) -> Vec<Finding> {
    let mut findings = vec![kind(mount)];
    let options = options(mount);
    let names: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
    for (option, means) in &options {
        let text = format!("mount option {option}: {means}");
        findings.push(Finding::warn(OPTIONS, text).with("option", *option));
    }
    if names.is_empty() && is_nfs(mount) {
        findings.push(Finding::ok(OPTIONS, nfs_options(mount)));
    }
    findings
}

fn kind(mount: &Mount) -> Finding {
    let place = format!("{} ({}) at {}", mount.fs_type, mount.source, mount.point);
    let by_peer = "`--peer` tries it";
    let finding = match (reach(mount), mount.fs_type.as_str()) {
        (_, "tmpfs" | "ramfs") => {
            Finding::warn(KIND, format!("{place}: in memory, gone when the host restarts"))
        }
        (_, "overlay") => Finding::warn(
            KIND,
            format!("{place}: often of a container, and removed with it"),
        ),
        (Reach::Local, _) => Finding::ok(
            KIND,
            format!("{place}: local, unless it is exported to other hosts"),
        ),
        (Reach::AllHosts, "cifs" | "smb3") => {
            let text =
                format!("{place}: locks are mandatory, others cannot read what is locked; little tried");
            Finding::warn(KIND, text)
        }
        (Reach::AllHosts, "nfs") if mount.value("vers").is_none_or(|vers| vers.starts_with('3')) => {
            let means =
                "flock reaches all hosts; the lock of a dead host is never freed, only the lease tells";
            Finding::ok(KIND, format!("{place}: {means}"))
        }
        (Reach::AllHosts, _) => Finding::ok(KIND, format!("{place}: flock reaches all hosts")),
        (Reach::OneHost, _) => {
            let means =
                "flock excludes on the same host only, so a dead worker elsewhere is noticed after the lease";
            Finding::warn(KIND, format!("{place}: {means}"))
        }
        (Reach::Unknown, _) => {
            let text = format!("{place}: not known here whether flock reaches other hosts; {by_peer}");
            Finding::warn(KIND, text)
        }
    };
    let reach = match reach(mount) {
        Reach::Local => "local",
        Reach::AllHosts => "all-hosts",
        Reach::OneHost => "one-host",
        Reach::Unknown => "unknown",
    };
    finding
        .with("type", mount.fs_type.as_str())
        .with("source", mount.source.as_str())
        .with("mounted_at", mount.point.as_str())
        .with("options", mount.options.clone())
        .with("flock_reaches", reach)
}

fn is_nfs(mount: &Mount) -> bool {
    matches!(mount.fs_type.as_str(), "nfs" | "nfs4")
}

/// Returns the options that somebody should know of, with what they mean.
fn options(mount: &Mount) -> Vec<(&str, &'static str)> {
    let all = mount.options.iter().map(String::as_str);
    if !is_nfs(mount) {
        let means = |option| match option {
            "localflock" => Some("locks are of one host only; `flock` would reach all"),
            "noflock" => Some("there is no flock; `flock` would bring it"),
            "nobrl" => Some("locks are of one host only"),
            "ro" => Some("nothing can be written"),
            _ => None,
        };
        return all.filter_map(|option| Some((option, means(option)?))).collect();
    }
    let means = |option| match option {
        "nolock" => Some("locks are of one host only"),
        "local_lock=flock" | "local_lock=all" => Some("flock is of one host only"),
        "nocto" => Some("even listings may be a minute old; outcomes stay right, but everybody waits"),
        "soft" | "softerr" => Some("a slow server makes steps fail that were done; `hard` is right"),
        "ro" => Some("nothing can be written"),
        _ => None,
    };
    all.filter_map(|option| Some((option, means(option)?))).collect()
}

fn nfs_options(mount: &Mount) -> String {
    let version = mount.value("vers").unwrap_or("3");
    let seen = if mount.has("noac") || mount.value("lookupcache") == Some("none") {
        "nothing is cached: new names are seen at once, every look asks the server".to_owned()
    } else {
        let longest = mount
            .value("acdirmax")
            .or_else(|| mount.value("actimeo"))
            .unwrap_or("60");
        format!("attributes of directories may be {longest} s old; a fresh listing is not")
    };
    format!("NFS {version}: {seen}")
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Verdict, worst};
    use super::*;

    fn mount(fs_type: &str, options: &str) -> Mount {
        Mount {
            point: "/proj".into(),
            fs_type: fs_type.into(),
            source: "fs01:/proj".into(),
            options: options.split(',').map(str::to_owned).collect(),
            ..Mount::default()
        }
    }

    #[test]
    fn each_file_system_has_its_verdict() {
        for (fs_type, options, reaches, verdict) in [
            ("ext4", "rw", "local", Verdict::Ok),
            ("tmpfs", "rw", "local", Verdict::Warn),
            ("overlay", "rw", "local", Verdict::Warn),
            (
                "nfs4",
                "rw,vers=4.2,hard,local_lock=none",
                "all-hosts",
                Verdict::Ok,
            ),
            ("nfs4", "rw,vers=4.2,noac", "all-hosts", Verdict::Ok),
            ("nfs", "rw,vers=3,hard,local_lock=none", "all-hosts", Verdict::Ok),
            (
                "nfs",
                "rw,vers=3,nolock,local_lock=all",
                "one-host",
                Verdict::Warn,
            ),
            ("nfs4", "rw,vers=4.1,local_lock=flock", "one-host", Verdict::Warn),
            ("nfs4", "rw,vers=4.2,soft", "all-hosts", Verdict::Warn),
            ("nfs4", "rw,vers=4.2,nocto", "all-hosts", Verdict::Warn),
            ("lustre", "rw,flock", "all-hosts", Verdict::Ok),
            ("lustre", "rw,localflock", "one-host", Verdict::Warn),
            ("gpfs", "rw", "one-host", Verdict::Warn),
            ("beegfs", "rw", "one-host", Verdict::Warn),
            ("ceph", "rw", "all-hosts", Verdict::Ok),
            ("fuse.glusterfs", "rw", "all-hosts", Verdict::Ok),
            ("fuse.s3fs", "rw", "unknown", Verdict::Warn),
            ("cifs", "rw", "all-hosts", Verdict::Warn),
            ("somefs", "rw", "unknown", Verdict::Warn),
        ] {
            let findings = judge(&mount(fs_type, options));
            assert_eq!(
                findings[0].figures["flock_reaches"], reaches,
                "{fs_type} {options}"
            );
            assert_eq!(worst(&findings), verdict, "{fs_type} {options}: {findings:?}");
        }
    }

    #[test]
    fn options_are_named_with_what_they_mean() {
        let findings = judge(&mount("nfs", "rw,vers=3,soft,nolock,nocto,local_lock=all"));
        let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
        for option in ["soft", "nolock", "nocto", "local_lock=all"] {
            let named = texts
                .iter()
                .filter(|text| text.starts_with(&format!("mount option {option}:")));
            assert_eq!(named.count(), 1, "{option}: {texts:?}");
        }
        let plain = judge(&mount("nfs4", "rw,vers=4.2,acdirmax=30"));
        assert!(plain[1].text.contains("30 s old"), "{plain:?}");
    }
}
