//! What guests are made of: a kernel, and a small root in memory, out of Debian's packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

const INIT: &str = include_str!("../guest-init");

/// Downloaded and unpacked. With them comes all that they are linked with, so that this machine needs nothing but libc.
const PACKAGES: &[&str] = &[
    "user-mode-linux",
    "busybox-static",
    "nfs-kernel-server",
    "nfs-common",
    "rpcbind",
    "keyutils",
    "strace",
    "libnfsidmap1",
    "libwrap0",
    "libtirpc3",
    "libtirpc-common",
    "libevent-core-2.1-7",
    "libdevmapper1.02.1",
    "libgssapi-krb5-2",
    "libkrb5-3",
    "libk5crypto3",
    "libkrb5support0",
    "libkeyutils1",
    "libcom-err2",
    "libnsl2",
    "libsqlite3-0",
    "libcap2",
    "libsystemd0",
    "libmount1",
    "libblkid1",
    "libuuid1",
    "libselinux1",
    "libpcre2-8-0",
    "libgcrypt20",
    "libgpg-error0",
    "liblzma5",
    "libzstd1",
    "liblz4-1",
    "zlib1g",
    "libudev1",
    "e2fsprogs",
    "libext2fs2",
    "libss2",
    "xfsprogs",
    "libinih1",
    "liburcu8",
    "libedit2",
    "libbsd0",
    "libmd0",
    "libtinfo6",
    "libicu72",
    "libstdc++6",
    "libgcc-s1",
    "btrfs-progs",
    "liblzo2-2",
    "libunwind8",
    "util-linux",
    "dash",
];

/// Programs of the guests, by their places in the packages.
const PROGRAMS: &[&str] = &[
    "bin/dash",
    "sbin/rpcbind",
    "sbin/rpc.statd",
    "sbin/mount.nfs",
    "sbin/sm-notify",
    "usr/sbin/rpc.mountd",
    "usr/sbin/rpc.nfsd",
    "usr/sbin/exportfs",
    "usr/sbin/nfsdcld",
    "sbin/mke2fs",
    "sbin/mkfs.xfs",
    "sbin/mkfs.btrfs",
    "usr/bin/strace",
    "usr/bin/flock",
];

/// Modules of the kernel; the file systems of disks are built in.
const MODULES: &[&str] = &[
    "nfsd",
    "nfs",
    "nfsv3",
    "nfsv4",
    "nfs_layout_nfsv41_files",
    "nfs_layout_flexfiles",
];

/// Where a program is looked for that is called by a path of its own.
const ALIASES: &[(&str, &str)] = &[
    ("/bin/sh", "/bin/dash"),
    ("/sbin/mount.nfs", "/bin/mount.nfs"),
    ("/sbin/mount.nfs4", "/bin/mount.nfs"),
    ("/sbin/modprobe", "/bin/busybox"),
    ("/sbin/nfsdcld", "/bin/nfsdcld"),
    ("/sbin/rpc.statd", "/bin/rpc.statd"),
    ("/sbin/sm-notify", "/bin/sm-notify"),
];

/// Small files in /etc.
const SETTINGS: &[(&str, &str)] = &[
    (
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\nstatd:x:106:65534::/var/lib/nfs:/bin/false\n_rpc:x:107:65534::/run/rpcbind:/bin/false\n\
         ana:x:1001:1001::/:/bin/sh\nbob:x:1002:1001::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    ),
    ("group", "root:x:0:\nlab:x:1001:\nnogroup:x:65534:\n"),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\nrpc: files\n",
    ),
    ("protocols", "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n"),
    (
        "services",
        "sunrpc 111/tcp portmapper\nsunrpc 111/udp portmapper\nnfs 2049/tcp\nnfs 2049/udp\n",
    ),
    (
        "rpc",
        "portmapper 100000 rpcbind\nnfs 100003\nmountd 100005\nnlockmgr 100021\nstatus 100024\n",
    ),
    (
        "netconfig",
        "udp tpi_clts v inet udp - -\ntcp tpi_cots_ord v inet tcp - -\nlocal tpi_cots_ord - loopback - - -\n",
    ),
    ("mtab", ""),
];

/// A kernel and the root of the guests, on this machine.
#[derive(Debug, Clone)]
pub struct Image {
    pub(crate) kernel: PathBuf,
    pub(crate) root: PathBuf,
}

impl Image {
    /// Returns the image, and makes it first if there is none of this version.
    ///
    /// # Errors
    ///
    /// If packages cannot be downloaded or unpacked. They come from where apt is set up to take them.
    pub fn get() -> Result<Image> {
        let place = cache()?.join(version());
        let image = Image {
            kernel: place.join("kernel"),
            root: place.join("root.cpio"),
        };
        if !image.root.exists() {
            build(&place)?;
        }
        Ok(image)
    }

    /// Says why there can be no image on this machine, if that is so.
    pub fn missing() -> Option<String> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Some("the guests' kernel is for Linux on x86_64".into());
        }
        let absent = ["apt-get", "dpkg-deb", "ldd"].into_iter().find(|program| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            !std::env::split_paths(&path).any(|dir| dir.join(program).exists())
        })?;
        Some(format!(
            "{absent} is not here: guests are made of Debian's packages"
        ))
    }
}

/// `rig` in the target directory, which every program that cargo has built knows by its own place.
fn cache() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    // The tag is only there if cargo has made the directory; the other file it keeps in any.
    let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
    let target = program
        .ancestors()
        .find(|dir| marks.iter().any(|mark| dir.join(mark).exists()));
    Ok(target
        .ok_or("this program is not in a target directory")?
        .join("rig"))
}

/// Another list of packages, or another script, is another image.
fn version() -> String {
    let mut hasher = DefaultHasher::new();
    (INIT, PACKAGES, PROGRAMS, MODULES, ALIASES, SETTINGS).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn build(place: &Path) -> Result<()> {
    let parent = place.parent().ok_or("a place without a parent")?;
    fs::create_dir_all(parent)?;
    // Two may build at once; the first one to finish is taken.
    let work = tempfile::Builder::new().prefix("build-").tempdir_in(parent)?;
    let (unpacked, root) = (work.path().join("unpacked"), work.path().join("root"));
    download(work.path(), &unpacked)?;
    let busybox = unpacked.join("bin/busybox");
    let mut libraries = Libraries::new(&unpacked);
    for program in PROGRAMS {
        let name = Path::new(program).file_name().ok_or("a program without a name")?;
        libraries.put_program(&unpacked.join(program), &root.join("bin").join(name), &root)?;
    }
    // Loaded by name while a program runs, so that ldd does not know of them.
    for library in [
        "libnss_files.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libpthread.so.0",
        "libdl.so.2",
        "librt.so.1",
    ] {
        let path = Path::new("/lib/x86_64-linux-gnu").join(library);
        if path.exists() {
            put(&path, &root.join("lib/x86_64-linux-gnu").join(library))?;
        }
    }
    put(&busybox, &root.join("bin/busybox"))?;
    let applets = output(Command::new(&busybox).arg("--list"))?;
    for applet in applets
        .lines()
        .filter(|applet| !root.join("bin").join(applet).exists())
    {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    for dir in [
        "proc",
        "sys",
        "dev",
        "tmp",
        "run",
        "mnt",
        "root",
        "sbin",
        "var/lib/nfs",
        "etc",
    ] {
        fs::create_dir_all(root.join(dir))?;
    }
    for (alias, program) in ALIASES {
        let alias = root.join(alias.trim_start_matches('/'));
        let _ = fs::remove_file(&alias);
        symlink(program, alias)?;
    }
    for (name, text) in SETTINGS {
        fs::write(root.join("etc").join(name), text)?;
    }
    put_modules(&unpacked.join("usr/lib/uml/modules"), &root)?;
    fs::write(root.join("init"), INIT)?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;

    let image = work.path().join("image");
    fs::create_dir(&image)?;
    let list = output(Command::new("find").arg(".").current_dir(&root))?;
    fs::write(work.path().join("list"), list)?;
    let mut pack = Command::new(&busybox);
    pack.args(["cpio", "-o", "-H", "newc"]).current_dir(&root);
    pack.stdin(fs::File::open(work.path().join("list"))?);
    pack.stdout(fs::File::create(image.join("root.cpio"))?);
    succeed(&mut pack)?;
    fs::copy(unpacked.join("usr/bin/linux.uml"), image.join("kernel"))?;
    match fs::rename(&image, place) {
        Err(error) if !place.join("root.cpio").exists() => Err(error.into()),
        _ => Ok(()),
    }
}

fn download(work: &Path, unpacked: &Path) -> Result<()> {
    let packages = work.join("packages");
    fs::create_dir_all(&packages)?;
    fs::create_dir_all(unpacked)?;
    let fetch = || {
        succeed(
            Command::new("apt-get")
                .args(["-qq", "download"])
                .args(PACKAGES)
                .current_dir(&packages),
        )
    };
    if fetch().is_err() {
        // No lists of packages, or old ones.
        succeed(Command::new("apt-get").args(["-qq", "-o", "DPkg::Lock::Timeout=600", "update"]))?;
        fetch()?;
    }
    for package in fs::read_dir(&packages)? {
        succeed(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(package?.path())
                .arg(unpacked),
        )?;
    }
    Ok(())
}

/// Puts programs into a root together with the libraries that they need.
struct Libraries {
    path: String,
}

impl Libraries {
    fn new(unpacked: &Path) -> Libraries {
        let dirs = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
        let dirs = dirs.map(|dir| unpacked.join(dir).display().to_string());
        Libraries { path: dirs.join(":") }
    }

    fn put_program(&mut self, program: &Path, to: &Path, root: &Path) -> Result<()> {
        put(program, to)?;
        for library in needed(program, &self.path)? {
            let name = library.file_name().ok_or("a library without a name")?;
            let dir = match name.to_string_lossy().starts_with("ld-linux") {
                true => "lib64",
                false => "lib/x86_64-linux-gnu",
            };
            put(&library, &root.join(dir).join(name))?;
        }
        Ok(())
    }
}

/// The libraries that a program is linked with, in the places where they were found.
pub(crate) fn needed(program: &Path, library_path: &str) -> Result<BTreeSet<PathBuf>> {
    let mut ldd = Command::new("ldd");
    ldd.arg(program).stderr(Stdio::null());
    if !library_path.is_empty() {
        ldd.env("LD_LIBRARY_PATH", library_path);
    }
    // A program without any is no error here, though it is one for ldd.
    let text = String::from_utf8_lossy(&ldd.output()?.stdout).into_owned();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [library, "=>", "not", "found"] => {
                return Err(format!("{} needs {library}, which is not here", program.display()).into());
            }
            [_, "=>", path, ..] => {
                found.insert(PathBuf::from(path));
            }
            [path, ..] if path.starts_with('/') => {
                found.insert(PathBuf::from(path));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn put_modules(modules: &Path, root: &Path) -> Result<()> {
    let release = fs::read_dir(modules)?
        .next()
        .ok_or("no modules in the kernel's package")??
        .file_name();
    let from = modules.join(&release);
    let to = root.join("lib/modules").join(&release);
    let table = fs::read_to_string(from.join("modules.dep"))?;
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in table.lines() {
        if let Some((module, needs)) = line.split_once(':') {
            let name = module
                .rsplit('/')
                .next()
                .and_then(|file| file.split(".ko").next());
            let files = std::iter::once(module).chain(needs.split_whitespace());
            by_name.insert(name.unwrap_or_default(), files.collect());
        }
    }
    let mut files = BTreeSet::from(["modules.dep"]);
    for module in MODULES {
        files.extend(
            by_name
                .get(module)
                .ok_or_else(|| format!("the kernel has no module {module}"))?,
        );
    }
    for file in files {
        put(&from.join(file), &to.join(file))?;
    }
    Ok(())
}

/// Copies a file, through links, and makes the directory for it.
pub(crate) fn put(from: &Path, to: &Path) -> Result<()> {
    let dir = to.parent().ok_or("a file without a directory")?;
    fs::create_dir_all(dir)?;
    fs::copy(from, to)
        .map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))?;
    Ok(())
}

pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot start {command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}
