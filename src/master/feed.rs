//! The stream of a round's inputs.

use std::fmt;

use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::name::RoundNumber;
use crate::panics::caught;

/// The inputs of a round, as a stream.
pub struct Inputs<I> {
    stream: Box<dyn Iterator<Item = Result<I, BoxError>>>,
    open_ended: bool,
}

impl<I: 'static> Inputs<I> {
    /// Takes anything that gives inputs: a vector, a range, an iterator.
    pub fn new<T>(inputs: T) -> Inputs<I>
    where
        T: IntoIterator<Item = I>,
        T::IntoIter: 'static,
    {
        Inputs::of(inputs.into_iter().map(Ok))
    }

    /// Takes inputs that may fail to be made, such as the lines of a file; the first error ends the master.
    pub fn try_new<T, E>(inputs: T) -> Inputs<I>
    where
        T: IntoIterator<Item = Result<I, E>>,
        T::IntoIter: 'static,
        E: Into<BoxError> + 'static,
    {
        Inputs::of(inputs.into_iter().map(|input| input.map_err(Into::into)))
    }

    fn of(stream: impl Iterator<Item = Result<I, BoxError>> + 'static) -> Inputs<I> {
        Inputs {
            stream: Box::new(stream),
            open_ended: false,
        }
    }

    /// Says that the stream may give more inputs after it said `None`, such as the lines of a file that grows.
    ///
    /// While tasks are open the master asks it again, at most once per second (on network file systems, once in the longest
    /// wait between two looks: 15 s). The run ends when every task that was
    /// published has been collected and the stream says `None` once more; this round is the last. It is never closed,
    /// so a master that is started again goes on with it: the stream must then give all the inputs that are in the
    /// store, in the same order, before its first `None`. Slow tasks are given to a second worker only when there are idle
    /// slots for all that are open ([`StoreConfig::tail`](crate::StoreConfig::tail)), for nobody knows where the end is.
    ///
    /// The stream must allow to be asked again; an iterator that was fused, or a range, says `None` for ever.
    ///
    /// ```
    /// use flockwork::Inputs;
    /// use std::sync::mpsc::channel;
    ///
    /// let (more, inputs) = channel();
    /// more.send(7)?;
    /// let inputs: Inputs<u64> = Inputs::new(std::iter::from_fn(move || inputs.try_recv().ok())).open_ended();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_ended(mut self) -> Inputs<I> {
        self.open_ended = true;
        self
    }
}

impl<I> fmt::Debug for Inputs<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inputs")
    }
}

/// Inputs that are still to be published.
#[derive(Debug)]
pub(super) struct Feed<I> {
    inputs: Inputs<I>,
    round: RoundNumber,
    /// How many were taken.
    taken: u64,
    /// One that was taken, but did not get into the store.
    kept: Option<I>,
}

impl<I> Feed<I> {
    pub(super) fn new(round: RoundNumber, inputs: Inputs<I>) -> Feed<I> {
        Feed {
            inputs,
            round,
            taken: 0,
            kept: None,
        }
    }

    /// Takes the next input.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::User`] or [`ErrorKind::Panic`], with the number of the input.
    pub(super) fn next(&mut self) -> Result<Option<I>> {
        if let Some(kept) = self.kept.take() {
            return Ok(Some(kept));
        }
        let place = || {
            format!(
                "create_inputs: input {} of round {} could not be made",
                self.taken, self.round
            )
        };
        let next = match caught(|| self.inputs.stream.next()) {
            Ok(next) => next.transpose(),
            Err(panic) => return Err(Error::new(ErrorKind::Panic, place()).because(panic)),
        };
        let next = next.map_err(|error| Error::new(ErrorKind::User, place()).because(error))?;
        self.taken += u64::from(next.is_some());
        Ok(next)
    }

    /// Returns how many inputs were taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Says whether there may be more inputs after the end.
    pub(super) fn is_open_ended(&self) -> bool {
        self.inputs.open_ended
    }

    pub(super) fn round(&self) -> RoundNumber {
        self.round
    }

    /// Gives an input back; the next call of [`next`](Feed::next) returns it.
    pub(super) fn put_back(&mut self, input: I) {
        self.kept = Some(input);
    }

    /// Skips the inputs that the store holds already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Mismatch`] if there are fewer.
    pub(super) fn skip(&mut self, tasks: u64) -> Result<()> {
        while self.taken < tasks {
            if self.next()?.is_none() {
                let step = format!(
                    "create_inputs made {} inputs for round {}, but the store holds {tasks} of it already",
                    self.taken, self.round
                );
                return Err(Error::new(ErrorKind::Mismatch, step).with_hint(
                    "a master must make the same inputs each time it is started; for other inputs use a new store",
                ));
            }
        }
        Ok(())
    }
}
