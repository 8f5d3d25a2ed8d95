//! Publishing the outcome of an attempt: whatever goes wrong, finished work is not thrown away.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::claim::Claim;
use super::create::{PublishBy, new_token};
use super::{SMALL_FILE, Store};
use crate::clock::Backoff;
use crate::fs::{FileRef, is_foreign, is_gone, is_lost_file, is_worth_parking};
use crate::layout::{self, Kind};
use crate::record::{self, AttemptHeader};

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
    #[expect(clippy::result_large_err, reason = "the error gives the claim back")]
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
            let mut left = wait;
            while !left.is_zero() {
                // A parked attempt is not a silent one: it shows signs of life, as far as the trouble lets it.
                let piece = left.min(store.heartbeat());
                if !park(&error, piece) {
                    return Err((self, error));
                }
                let _ = self.file.touch();
                left -= piece;
            }
        }
        unreachable!("the tries are not counted out in a lifetime")
    }

    fn try_publish(&mut self, store: &Store) -> io::Result<Published> {
        if self.accepted {
            return self.accepted(store);
        }
        if store.file().publish == PublishBy::Rename {
            return self.publish_by_rename(store);
        }
        let written = self
            .flush()
            .and_then(|()| if store.syncs_data() { self.sync() } else { Ok(()) });
        match written {
            Ok(()) => {}
            Err(error) if is_lost_file(&error) => return self.publish_anew(store),
            Err(error) => return Err(error),
        }
        match self.link_first(&self.file) {
            Ok(Linked::Ours) => self.accepted(store),
            Ok(Linked::Taken) => Ok(Published::Twin),
            Ok(Linked::Cleaned) => Ok(Published::Gone),
            Err(error) if is_lost_file(&error) => self.publish_anew(store),
            Err(error) if has_no_links(&error) => self.publish_by_rename(store),
            Err(error) => Err(error),
        }
    }

    /// The outcome has its name. That is remembered: once the shard is cleaned, nothing there tells whose it was.
    fn accepted(&mut self, store: &Store) -> io::Result<Published> {
        self.accepted = true;
        if store.syncs_names() {
            match self.dir.sync() {
                // It was cleaned meanwhile: the outcome is in the done file.
                Err(error) if is_gone(&error) => {}
                answer => answer?,
            }
        }
        Ok(Published::First)
    }

    /// Somebody removed the lock file, or its lock was lost: the same records in a file of our own.
    fn publish_anew(&mut self, store: &Store) -> io::Result<Published> {
        let Some((name, file)) = self.write_anew(store)? else {
            return Ok(Published::Gone);
        };
        let linked = self.link_first(&file);
        let _ = self.dir.unlink(&name);
        match linked {
            Ok(Linked::Ours) => {}
            Ok(Linked::Taken) => return Ok(Published::Twin),
            Ok(Linked::Cleaned) => return Ok(Published::Gone),
            Err(error) if is_gone(&error) => return Ok(Published::Gone),
            Err(error) => return Err(error),
        }
        // Cleaning removes the input first. If it came in between, our outcome is one too many. Only a listing that
        // shows no input tells so: after an error the outcome may be the accepted one, and is not to be touched.
        let Some(input_is_there) = self.look_for_input()? else {
            return Ok(Published::Gone);
        };
        if input_is_there {
            return self.accepted(store);
        }
        let out = layout::plain_name(self.stem(), Kind::Out);
        self.dir
            .unlink(&out)
            .or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) })?;
        Ok(Published::Gone)
    }

    /// Where there are no hard links: a rename that never replaces.
    fn publish_by_rename(&mut self, store: &Store) -> io::Result<Published> {
        let Some((name, file)) = self.write_anew(store)? else {
            return Ok(Published::Gone);
        };
        drop(file);
        let out = layout::plain_name(self.stem(), Kind::Out);
        let Err(error) = self.dir.rename_new(&name, &out) else {
            return self.accepted(store);
        };
        let seen = self.look_at_outcome()?;
        if seen == Some(Linked::Ours) {
            return self.accepted(store);
        }
        let _ = self.dir.unlink(&name);
        match seen {
            Some(_) => Ok(Published::Twin),
            None if !self.input_is_there()? => Ok(Published::Gone),
            None => Err(error),
        }
    }

    /// Links a file of ours to the final name.
    ///
    /// Any error may be the answer to a link that was made, and even "the name is taken" may mean by us. So the
    /// outcome itself is asked whose it is: the number of our file's names would lie once somebody removed one.
    fn link_first(&self, file: &FileRef) -> io::Result<Linked> {
        let Err(error) = file.link(&layout::plain_name(self.stem(), Kind::Out)) else {
            return Ok(Linked::Ours);
        };
        let seen = self.look_at_outcome()?.ok_or(error)?;
        // Inputs go first when a shard is cleaned, so with ours still there the outcome's name was never freed.
        Ok(if self.input_is_there()? {
            seen
        } else {
            Linked::Cleaned
        })
    }

    /// Says whose outcome is there, if one is.
    fn look_at_outcome(&self) -> io::Result<Option<Linked>> {
        let out = layout::plain_name(self.stem(), Kind::Out);
        // A fresh listing first: asked by name alone, a network file system may say "no" for a minute.
        match self.dir.list(&mut |_| {}) {
            Err(error) if is_gone(&error) => return Ok(None),
            answer => answer?,
        }
        let mut bytes = Vec::new();
        match self.dir.read(&out, SMALL_FILE, &mut bytes) {
            Err(error) if is_gone(&error) => return Ok(None),
            // The header is in the first bytes of a large one; a planted one is not ours.
            Err(error) if !is_foreign(&error) => return Err(error),
            _ => {}
        }
        let first = record::frames(&bytes).next().and_then(Result::ok);
        let header: Option<AttemptHeader> = first.and_then(|frame| record::from_json(&frame));
        let ours = header.is_some_and(|header| header.is_same_attempt(self.header()));
        Ok(Some(if ours { Linked::Ours } else { Linked::Taken }))
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
        Ok(self.look_for_input()?.unwrap_or(false))
    }

    /// Says whether a listing shows the input; `None`: the shard is gone, or so the system says.
    fn look_for_input(&self) -> io::Result<Option<bool>> {
        let input = layout::plain_name(self.stem(), Kind::In);
        let mut found = false;
        match self.dir.list(&mut |name| found |= name == input) {
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(Some(found)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linked {
    Ours,
    Taken,
    /// The input is gone, so nothing can be said: what was first is in the done file.
    Cleaned,
}

fn has_no_links(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK))
}
