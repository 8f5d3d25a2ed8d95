//! The shard directory: names, the inodes they lead to, and what a listing of the names means.

/// Inputs that the arrays have room for.
pub(crate) const MAX_INPUTS: usize = 2;
/// Attempts of one input that the arrays have room for.
pub(crate) const MAX_ATTEMPTS: usize = 7;
/// Inodes that can be named or open at one time.
pub(crate) const MAX_INODES: usize = 16;

/// An inode, by its place in the table. Numbers change: see `State::tidy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ino(pub u8);

/// What the header record of a lock file says about flock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Header {
    /// The claimer has not come so far, or never will.
    #[default]
    Missing,
    /// The claimer holds a flock.
    Flocked,
    /// The claimer found the flock busy, so its absence says nothing.
    Unflocked,
}

/// The contents of a file, as far as they matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Inode {
    pub header: Header,
    /// The output record is there, whole.
    pub whole: bool,
    /// The contents survive a power cut.
    pub synced: bool,
}

/// A marker of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mark {
    Fail,
    Lost,
    Back,
    Slow,
    /// The attempt was the last.
    Final,
    /// A person granted new ones.
    Again,
}

/// The markers of one attempt.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Marks(u8);

impl Marks {
    const ALL: [Mark; 6] = [
        Mark::Fail,
        Mark::Lost,
        Mark::Back,
        Mark::Slow,
        Mark::Final,
        Mark::Again,
    ];

    pub(crate) fn has(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u8) != 0
    }

    /// Creates the marker; a marker that is there already stays as it is.
    pub(crate) fn insert(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u8;
    }

    pub(crate) fn remove(&mut self, mark: Mark) {
        self.0 &= !(1 << mark as u8);
    }

    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }

    /// True when the attempt is over; `slow` alone leaves it running.
    pub(crate) fn ended(self) -> bool {
        let ends = [Mark::Fail, Mark::Lost, Mark::Back, Mark::Final, Mark::Again];
        ends.into_iter().any(|mark| self.has(mark))
    }

    /// True when a listing that shows one of the names takes the next attempt for free.
    fn may_free(self) -> bool {
        Self::ALL
            .into_iter()
            .any(|mark| mark != Mark::Final && self.has(mark))
    }

    pub(crate) fn lowest(self) -> Option<Mark> {
        Self::ALL.into_iter().find(|&mark| self.has(mark))
    }
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(Self::ALL.into_iter().filter(|&mark| self.has(mark)))
            .finish()
    }
}

/// The names of one input `U`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Files {
    /// `U.in`
    pub input: bool,
    /// `U.in` was unlinked, and a power cut may undo that.
    pub input_may_return: bool,
    /// `U.out`
    pub out: Option<Ino>,
    /// The name `U.out` survives a power cut.
    pub out_synced: bool,
    locks: [Option<Ino>; MAX_ATTEMPTS],
    marks: [Marks; MAX_ATTEMPTS],
}

impl Files {
    /// The file at `U.k.lock`.
    pub(crate) fn lock(&self, k: u8) -> Option<Ino> {
        self.locks[usize::from(k) - 1]
    }

    pub(crate) fn lock_mut(&mut self, k: u8) -> &mut Option<Ino> {
        &mut self.locks[usize::from(k) - 1]
    }

    /// The markers `U.k.*`.
    pub(crate) fn marks(&self, k: u8) -> Marks {
        self.marks[usize::from(k) - 1]
    }

    pub(crate) fn marks_mut(&mut self, k: u8) -> &mut Marks {
        &mut self.marks[usize::from(k) - 1]
    }

    /// The attempt numbers that have a lock file, lowest first.
    pub(crate) fn attempts(&self) -> impl DoubleEndedIterator<Item = u8> + use<> {
        let locks = self.locks;
        (1..=MAX_ATTEMPTS as u8).filter(move |&k| locks[usize::from(k) - 1].is_some())
    }

    /// The last attempt after which a person granted new ones; 0 if nobody did.
    pub(crate) fn again(&self) -> u8 {
        let granted = self.attempts().filter(|&k| self.marks(k).has(Mark::Again));
        granted.max().unwrap_or(0)
    }

    /// Attempts that a stale or torn listing may take for free: it can miss any name, but not invent one.
    pub(crate) fn free_if_names_are_missed(&self) -> impl Iterator<Item = u8> + use<'_> {
        let after_a_marked = self
            .attempts()
            .filter(|&k| self.marks(k).may_free())
            .map(|k| k + 1);
        std::iter::once(1).chain(after_a_marked).filter(|_| self.input)
    }

    /// The inodes that the names lead to, for renumbering.
    pub(crate) fn inodes_mut(&mut self) -> impl Iterator<Item = &mut Option<Ino>> {
        std::iter::once(&mut self.out).chain(&mut self.locks)
    }

    /// How many names of this input lead to the inode.
    pub(crate) fn links(&self, ino: Ino) -> usize {
        std::iter::once(&self.out)
            .chain(&self.locks)
            .filter(|&&name| name == Some(ino))
            .count()
    }

    /// True when a lock or marker is left.
    pub(crate) fn has_locks_or_marks(&self) -> bool {
        self.locks.iter().any(Option::is_some) || self.marks.iter().any(|marks| marks.any())
    }

    /// The attempt whose lock or marker the cleaner removes next.
    pub(crate) fn next_to_clean(&self) -> Option<u8> {
        (1..=MAX_ATTEMPTS as u8).find(|&k| self.lock(k).is_some() || self.marks(k).any())
    }
}
