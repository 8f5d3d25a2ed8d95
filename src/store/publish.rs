//! Publishing the outcome of an attempt: whatever goes wrong, finished work is not thrown away.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::Store;
use super::claim::{Claim, header_of};
use super::create::{PublishBy, new_token};
use crate::clock::Backoff;
use crate::fs::{FileRef, is_gone, is_worth_parking};
use crate::layout::{self, Kind};

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// It is the accepted one.
    First,
    /// Another attempt was first.
    Twin,
    /// The shard was cleaned: another attempt was first, and its outcome collected.
    Gone,
}

/// Asked before each wait; `false` means: do not wait any longer, give the task back.
pub(crate) type Park<'a> = dyn FnMut(&io::Error, Duration) -> bool + 'a;

/// Trouble that is not known to last is tried again soon, this often.
const QUICK_TRIES: u32 = 5;

impl Claim {
    /// Publishes what was appended to [`content`](Claim::content) as the outcome; ends with an end mark there.
    ///
    /// Trouble of the store is waited out: 0.1 s doubling for five tries, then (and at once for a full disk, a
    /// used-up quota, a read-only mount or missing rights) 30 s doubling to 10 minutes.
    ///
    /// # Errors
    ///
    /// The claim and the last trouble, when `park` said to wait no longer.
    pub(crate) fn publish(
        mut self,
        store: &Store,
        park: &mut Park<'_>,
    ) -> Result<Published, (Claim, io::Error)> {
        let mut quick = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut slow = Backoff::new(Duration::from_secs(30), Duration::from_secs(600));
        for tries in 0u32.. {
            let error = match self.try_publish(store) {
                Ok(published) => return Ok(published),
                Err(error) => error,
            };
            let lasting = is_worth_parking(&error) || tries >= QUICK_TRIES;
            let wait = if lasting { slow.step() } else { quick.step() };
            if !park(&error, wait) {
                return Err((self, error));
            }
        }
        unreachable!("the tries are not counted out in a lifetime")
    }

    fn try_publish(&mut self, store: &Store) -> io::Result<Published> {
        if store.file().publish == PublishBy::Rename {
            return self.publish_by_rename(store);
        }
        let written = self.flush().and_then(|()| {
            if store.syncs_data() {
                self.file.sync_data()
            } else {
                Ok(())
            }
        });
        match written {
            Ok(()) => {}
            Err(error) if is_lost_file(&error) => return self.publish_anew(store),
            Err(error) => return Err(error),
        }
        let out = layout::plain_name(self.stem(), Kind::Out);
        match link_first(&self.file, &out) {
            Ok(Linked::Ours) => self.accepted(store),
            Ok(Linked::Taken) => self.taken(store, &out),
            Err(error) if is_lost_file(&error) => self.publish_anew(store),
            Err(error) if has_no_links(&error) => self.publish_by_rename(store),
            Err(error) => Err(error),
        }
    }

    fn accepted(&self, store: &Store) -> io::Result<Published> {
        if store.syncs_names() {
            self.dir.sync()?;
        }
        Ok(Published::First)
    }

    /// There is an outcome: that of a twin, or ours, if an earlier try went further than we were told.
    fn taken(&self, store: &Store, out: &str) -> io::Result<Published> {
        if self.is_ours(out)? {
            self.accepted(store)
        } else {
            Ok(Published::Twin)
        }
    }

    fn is_ours(&self, out: &str) -> io::Result<bool> {
        match header_of(&self.dir, out) {
            Ok(header) => {
                Ok(header.is_some_and(|it| it.worker == self.header.worker && it.attempt == self.attempt))
            }
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Somebody removed the lock file, or its lock was lost: the same records in a file of our own.
    fn publish_anew(&self, store: &Store) -> io::Result<Published> {
        let Some((name, file)) = self.write_anew(store)? else {
            return Ok(Published::Gone);
        };
        let out = layout::plain_name(self.stem(), Kind::Out);
        let linked = link_first(&file, &out);
        let _ = self.dir.unlink(&name);
        match linked {
            Ok(Linked::Ours) => {}
            Ok(Linked::Taken) if self.is_ours(&out)? => {}
            Ok(Linked::Taken) => return Ok(Published::Twin),
            Err(error) if is_gone(&error) => return Ok(Published::Gone),
            Err(error) => return Err(error),
        }
        // Cleaning removes the input first. If it came in between, our outcome is one too many.
        if self.input_is_there()? {
            self.accepted(store)
        } else {
            self.dir
                .unlink(&out)
                .or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
            Ok(Published::Gone)
        }
    }

    /// Where there are no hard links: a rename that never replaces.
    fn publish_by_rename(&mut self, store: &Store) -> io::Result<Published> {
        let Some((name, file)) = self.write_anew(store)? else {
            return Ok(Published::Gone);
        };
        drop(file);
        let out = layout::plain_name(self.stem(), Kind::Out);
        let renamed = self.dir.rename_new(&name, &out);
        // The name is only ours: if it is gone, the rename was done, whatever was answered.
        match renamed {
            Ok(()) => self.accepted(store),
            Err(_) if !self.dir.exists(&name)? => self.accepted(store),
            Err(error) => {
                let _ = self.dir.unlink(&name);
                match error.kind() {
                    io::ErrorKind::AlreadyExists => self.taken(store, &out),
                    _ if is_gone(&error) => Ok(Published::Gone),
                    _ => Err(error),
                }
            }
        }
    }

    /// Writes all records to a new file of a name that is only ours; `None` if the shard is gone.
    fn write_anew(&self, store: &Store) -> io::Result<Option<(String, FileRef)>> {
        if !self.input_is_there()? {
            return Ok(None);
        }
        let name = layout::temporary_name(&format!("{}.{}", self.base, self.attempt), &new_token());
        let file = match self.dir.create(&name) {
            Ok(file) => file,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let written = file.write_at(0, &self.content).and_then(|()| {
            if store.syncs_data() {
                file.sync_data()
            } else {
                Ok(())
            }
        });
        if let Err(error) = written {
            let _ = self.dir.unlink(&name);
            return Err(error);
        }
        Ok(Some((name, file)))
    }

    fn input_is_there(&self) -> io::Result<bool> {
        let input = layout::plain_name(self.stem(), Kind::In);
        let mut found = false;
        match self.dir.list(&mut |name| found |= name == input) {
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(found),
        }
    }
}

enum Linked {
    Ours,
    Taken,
}

/// Links our file to the name; whatever the answer, the number of its names tells whether it was done.
fn link_first(file: &FileRef, name: &str) -> io::Result<Linked> {
    let error = match file.link(name) {
        Ok(()) => return Ok(Linked::Ours),
        Err(error) => error,
    };
    // A reply can be lost although the link was made; then the call is repeated, and refused for any reason.
    let done = match file.fresh() {
        Ok(stat) => stat.links >= 2,
        Err(_) if is_gone(&error) => false,
        Err(trouble) => return Err(trouble),
    };
    match error.kind() {
        _ if done => Ok(Linked::Ours),
        io::ErrorKind::AlreadyExists => Ok(Linked::Taken),
        _ => Err(error),
    }
}

/// The file was removed or replaced by others, or this client's lock on it was lost (NFS answers EIO then).
fn is_lost_file(error: &io::Error) -> bool {
    is_gone(error) || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

fn has_no_links(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK))
}
