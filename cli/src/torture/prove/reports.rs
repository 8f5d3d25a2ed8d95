//! The notes of all hosts and their processes, added up.

use std::io;
use std::path::Path;

use super::executions::Judgement;
use crate::torture::notes::{self, Note};
use crate::torture::setup::{HOST, Site};
use crate::torture::verdict::{Broken, Figures, Promise};

/// What all notes come to.
#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) figures: Figures,
    pub(super) broken: Vec<Broken>,
    pub(super) judgement: Judgement,
}

/// Reads all notes.
///
/// # Errors
///
/// If they cannot be listed. A file that cannot be read is told as broken.
pub(super) fn read(site: &Site) -> io::Result<Reports> {
    let mut reports = Reports::default();
    for name in site.names()?.iter().filter(|name| name.ends_with(HOST)) {
        reports.figures.hosts += 1;
        reports.read_one(&site.path(name));
    }
    for name in site.parts()? {
        reports.read_one(&site.part(&name));
    }
    Ok(reports)
}

impl Reports {
    fn read_one(&mut self, path: &Path) {
        self.judgement.begin();
        if let Err(error) = notes::read(path, |note| self.take(note)) {
            let what = format!("the notes of a process cannot be read: {error}");
            self.broken
                .push(Broken::new(Promise::Processes, &path.to_string_lossy(), what));
        }
        self.judgement.end();
    }

    fn take(&mut self, note: Note) {
        let figures = &mut self.figures;
        match &note {
            Note::Kill { master, .. } | Note::Died { master, .. } => {
                figures.kills += 1;
                figures.master_kills += u64::from(*master);
            }
            Note::Die { after } => {
                figures.halfway += 1;
                figures.in_batches += u64::from(*after > 0);
            }
            Note::Stop { .. } => figures.stops += 1,
            Note::Removed => figures.removals += 1,
            Note::Watched { outcomes } => figures.watched += outcomes,
            Note::Restored => figures.restored += 1,
            Note::Discarded => figures.twins += 1,
            Note::Failed => figures.failures += 1,
            Note::Lost { .. } => figures.lost += 1,
            Note::LockLost => figures.locks_lost += 1,
            Note::Parked { .. } => figures.parked += 1,
            Note::Trouble { .. } => figures.troubles += 1,
            Note::Broken(broken) => self.broken.push(broken.clone()),
            _ => {}
        }
        self.judgement.take(&note);
    }
}
