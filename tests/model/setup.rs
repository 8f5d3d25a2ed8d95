//! What one run of the checker explores: how many take part, what may go wrong, and which rule is broken on purpose.

/// One thing that can go wrong. Each occurrence costs one from the budget and counts as a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A worker, observer or master process dies.
    Crash,
    /// An attempt is given up although its worker lives: stopped, suspended, cut off.
    Revoke,
    /// An attempt is doubled near the end of a round.
    Slow,
    /// A worker's flock is gone, and it does not notice.
    LockLost,
    /// A listing misses names that are there: an old state, or a mix of two states.
    StaleList,
    /// `open(O_CREAT|O_EXCL)` answers an error although it was done.
    CreateError,
    /// `link` answers EIO, done or not, or EEXIST although it was done.
    LinkError,
    /// Creating a marker answers an error although it was done.
    MarkError,
    /// `unlink` answers an error although it was done.
    UnlinkError,
    /// The task fails.
    TaskFails,
    /// The task fails, and is not to be tried again.
    TaskFailsForGood,
    /// A person cancels an attempt, by a listing that may be old.
    Cancel,
    /// A person grants new attempts to an input that has failed.
    Retry,
    /// A worker gives its attempt back: signal, time limit.
    GiveBack,
    /// A person removes a lock file.
    HandRemove,
    /// All hosts lose power; what was not synced is gone.
    PowerCut,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds(pub &'static [Kind]);

impl Kinds {
    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }
}

/// Whom a flock excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everyone who opens the file, on any host.
    Cluster,
    /// Only processes of the same host; another host's probe always succeeds.
    NodeLocal,
}

/// A rule of the protocol that is broken on purpose, to see that the checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Publish by looking whether the lock path is still ours and `U.out` free, then `rename`.
    CheckThenRename,
    /// Give up by unlinking the lock, then making the marker.
    UnlinkBeforeMarker,
    /// Every attempt has the same lock name; giving up unlinks it.
    NamesUsedTwice,
    /// An attempt that ends without output unlinks its lock by path and makes no marker.
    UnlinkRelease,
    /// EEXIST from `link` always means that somebody else was first.
    ExistMeansTwin,
    /// The link count alone says whether `U.out` is ours.
    LinkCountOnly,
    /// EIO from `link` leads to a fresh file at once, and only that file counts as ours.
    FreshAfterIoError,
    /// A fresh file is published without asking whether the input was cleaned.
    FreshWithoutInput,
    /// What a look at `U.out` shows is believed without asking whether the input was cleaned.
    LookWithoutInput,
    /// A claimer that finds no input unlinks its lock by path.
    UnlinkWhenCleaned,
    /// A prober tries the flock first and reads the header afterwards.
    ProbeBeforeHeader,
    /// Only a free flock is a sign that a worker is gone; neither its process nor its silence is.
    FlockAlone,
    /// A prober trusts flock where it does not reach the holder's host.
    TrustNodeLocal,
    /// An output is linked before it is synced.
    LinkBeforeSync,
    /// The master reads an output without syncing the directory first.
    ReadBeforeSync,
    /// The worker reports an output as accepted without syncing the directory first.
    AcceptBeforeSync,
    /// The cleaner removes locks and markers first, then inputs.
    CleanLocksFirst,
    /// The cleaner removes the locks that it saw before the inputs were gone, and none that came later.
    CleanByOldListing,
    /// The cleaner removes outputs although a silly-renamed lock shows that a worker is still there.
    IgnoreSillyNames,
    /// The cleaner does not sync the directory after it has removed the inputs.
    CleanWithoutSync,
    /// `fail` and `lost` of one attempt count twice.
    CountMarkers,
    /// An attempt that was given back counts when a prober has marked it lost as well.
    LostOutweighsBack,
    /// Only the highest attempt is watched, so a slow one before it is never given up.
    WatchHighestOnly,
    /// The failure limit is applied although a slow attempt still runs.
    FailDespiteSlow,
    /// An attempt that was to be the last counts like any other.
    IgnoreFinal,
    /// No second listing when attempt 2 or later was claimed. This one is harmless: it only wastes work.
    NoSecondListing,
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub workers: u8,
    pub observers: u8,
    pub inputs: u8,
    /// A master collects, and cleans when all is handed over.
    pub master: bool,
    /// Faults in all, of any of the kinds.
    pub budget: u8,
    pub kinds: Kinds,
    /// Attempts that may end badly before the input has failed.
    pub limit: u8,
    pub reach: Reach,
    /// NFS: a file that is unlinked on the host that has it open keeps a hidden name, and can be linked.
    pub silly_rename: bool,
    /// Durability `power`: files and directories are synced.
    pub power: bool,
    /// The master puts a failure record at `U.out` before it hands a failure over.
    pub fence_failures: bool,
    /// Check in every state, by running it, that one live worker can end every input.
    pub rescue: bool,
    pub flaw: Option<Flaw>,
    /// Names of the `sometimes` properties that this configuration has to reach.
    pub reaches: &'static [&'static str],
}

impl Setup {
    /// Two workers, one observer, one input, no faults.
    pub(crate) const PLAIN: Self = Self {
        workers: 2,
        observers: 1,
        inputs: 1,
        master: false,
        budget: 0,
        kinds: Kinds(&[]),
        limit: 3,
        reach: Reach::Cluster,
        silly_rename: false,
        power: false,
        fence_failures: false,
        rescue: false,
        flaw: None,
        reaches: &[],
    };

    pub(crate) fn flawed(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}
