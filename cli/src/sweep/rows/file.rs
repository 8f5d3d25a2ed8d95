//! One file of rows: `flockwork.rows/1`.
//!
//! ```text
//! {"schema":"flockwork.rows/1","first":0,"columns":["alpha","beta"]}\n
//! rows     for each value: its length (u32), its bytes
//! index    for each block of rows: its first row (u64), where it begins (u64), its CRC-32 (u32)
//! trailer  where the index begins (u64), how many rows (u64), CRC-32 of headline and index (u32),
//!          CRC-32 of the trailer up to here (u32), "rows/end"
//! ```
//!
//! Numbers are little-endian. A block has at most 1,024 rows and ends after 1 MiB. Every byte is under a checksum that
//! is looked at before the byte is used; a small read at the end tells the number of rows.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flockwork::app::exit::{BAD_STORE, Failed};
use serde::{Deserialize, Serialize};

use super::failed;
use crate::sweep::shown;
use crate::task::Bytes;

const SCHEMA: &str = "flockwork.rows/1";
const MAGIC: &[u8; 8] = b"rows/end";
const TRAILER: usize = 32;
const ENTRY: usize = 20;
const BLOCK_ROWS: u64 = 1024;
const BLOCK_BYTES: usize = 1 << 20;
/// Headline, index and blocks are never so long: a block ends after 1 MiB and one row. A planted file must not fill the
/// memory.
const LONGEST_PART: u64 = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    schema: String,
    first: u64,
    columns: Vec<String>,
}

/// A block in the index.
#[derive(Debug, Clone, Copy)]
struct Block {
    row: u64,
    begins: u64,
    crc: u32,
}

/// Writes a file of rows, block by block.
pub(crate) struct RowsWriter<W: Write> {
    to: W,
    head_crc: crc32fast::Hasher,
    written: u64,
    blocks: Vec<Block>,
    block: Vec<u8>,
    /// Rows before this block, and all.
    before: u64,
    rows: u64,
}

impl<W: Write> RowsWriter<W> {
    pub(crate) fn new(mut to: W, first: u64, columns: &[String]) -> io::Result<RowsWriter<W>> {
        let head = Head {
            schema: SCHEMA.to_owned(),
            first,
            columns: columns.to_vec(),
        };
        let mut line = serde_json::to_vec(&head)?;
        line.push(b'\n');
        to.write_all(&line)?;
        let mut head_crc = crc32fast::Hasher::new();
        head_crc.update(&line);
        let written = line.len() as u64;
        Ok(RowsWriter {
            to,
            head_crc,
            written,
            blocks: Vec::new(),
            block: Vec::new(),
            before: 0,
            rows: 0,
        })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn push(&mut self, values: &[Bytes]) -> io::Result<()> {
        for value in values {
            let length =
                u32::try_from(value.0.len()).map_err(|_| io::Error::other("a value is longer than 4 GiB"))?;
            self.block.extend_from_slice(&length.to_le_bytes());
            self.block.extend_from_slice(&value.0);
        }
        self.rows += 1;
        match self.rows - self.before == BLOCK_ROWS || self.block.len() >= BLOCK_BYTES {
            true => self.end_block(),
            false => Ok(()),
        }
    }

    fn end_block(&mut self) -> io::Result<()> {
        let crc = crc32fast::hash(&self.block);
        self.blocks.push(Block {
            row: self.before,
            begins: self.written,
            crc,
        });
        self.to.write_all(&self.block)?;
        self.written += self.block.len() as u64;
        self.before = self.rows;
        self.block.clear();
        Ok(())
    }

    /// Writes index and trailer, and returns what was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.rows > self.before {
            self.end_block()?;
        }
        let mut end = Vec::with_capacity(self.blocks.len() * ENTRY + TRAILER);
        for block in &self.blocks {
            end.extend_from_slice(&block.row.to_le_bytes());
            end.extend_from_slice(&block.begins.to_le_bytes());
            end.extend_from_slice(&block.crc.to_le_bytes());
        }
        self.head_crc.update(&end);
        let trailer = end.len();
        end.extend_from_slice(&self.written.to_le_bytes());
        end.extend_from_slice(&self.rows.to_le_bytes());
        end.extend_from_slice(&self.head_crc.finalize().to_le_bytes());
        let crc = crc32fast::hash(&end[trailer..]);
        end.extend_from_slice(&crc.to_le_bytes());
        end.extend_from_slice(MAGIC);
        self.to.write_all(&end)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

/// The trailer of a file.
#[derive(Debug, Clone, Copy)]
struct Trailer {
    index: u64,
    rows: u64,
    crc: u32,
}

/// An open file of rows.
#[derive(Debug)]
pub(crate) struct RowsFile {
    file: File,
    path: PathBuf,
    head: Head,
    blocks: Vec<Block>,
    rows: u64,
    /// Where the rows end.
    index: u64,
}

impl RowsFile {
    /// Returns how many rows a file has, by its trailer only; `None`: there is no such file.
    pub(super) fn count(path: &Path) -> Result<Option<u64>, Failed> {
        let Some(file) = open(path)? else { return Ok(None) };
        trailer(&file, path).map(|(trailer, _)| Some(trailer.rows))
    }

    /// Opens a file and checks everything but the rows; `None`: there is no such file. `first`: the task that it must
    /// begin with, if that is known.
    pub(super) fn open(path: &Path, first: Option<u64>) -> Result<Option<RowsFile>, Failed> {
        let Some(file) = open(path)? else { return Ok(None) };
        match newer(&file) {
            Some(schema) => {
                let text = format!("{} is {schema}; this program reads {SCHEMA}", shown::path(path));
                Err(Failed::new(
                    BAD_STORE,
                    text,
                    Some("use the newer flockwork that wrote it".to_owned()),
                ))
            }
            None => RowsFile::check(file, path, first).map(Some),
        }
    }

    pub(crate) fn check(file: File, path: &Path, first: Option<u64>) -> Result<RowsFile, Failed> {
        let (trailer, length) = trailer(&file, path)?;
        let index = read(&file, path, trailer.index, length - TRAILER as u64)?;
        let blocks: Vec<Block> = index.chunks_exact(ENTRY).map(Block::read).collect();
        let rows_begin = blocks.first().map_or(trailer.index, |block| block.begins);
        let head = read(&file, path, 0, rows_begin.min(trailer.index))?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&head);
        crc.update(&index);
        let ordered = blocks.is_sorted_by(|one, next| one.row < next.row && one.begins <= next.begins);
        let whole = index.len() % ENTRY == 0 && crc.finalize() == trailer.crc && ordered;
        let within = blocks
            .last()
            .is_none_or(|last| last.begins <= trailer.index && last.row < trailer.rows);
        if !whole || !within {
            return Err(damaged(path, "its headline or index does not fit its checksum"));
        }
        let head: Head = serde_json::from_slice(&head)
            .map_err(|error| damaged(path, &format!("its headline: {error}")))?;
        if head.schema != SCHEMA {
            return Err(damaged(path, "it holds something else than rows"));
        }
        if first.is_some_and(|first| first != head.first) {
            return Err(damaged(
                path,
                "it holds the rows of other tasks than its name says",
            ));
        }
        // Each row belongs to a block, or whoever looks for it would look for ever.
        let ends = blocks.iter().skip(1).map(|block| block.row).chain([trailer.rows]);
        let full = blocks
            .iter()
            .zip(ends)
            .all(|(block, end)| end - block.row <= BLOCK_ROWS);
        if blocks.first().is_none_or(|block| block.row != 0) || !full {
            return Err(damaged(path, "its index does not fit its rows"));
        }
        if head.first.checked_add(trailer.rows).is_none() {
            return Err(damaged(path, "it counts more tasks than there can be"));
        }
        Ok(RowsFile {
            file,
            path: path.to_owned(),
            head,
            blocks,
            rows: trailer.rows,
            index: trailer.index,
        })
    }

    /// Returns the number of the task after its last.
    pub(crate) fn end(&self) -> u64 {
        self.head.first + self.rows
    }

    /// Returns the number of its first task.
    pub(crate) fn first(&self) -> u64 {
        self.head.first
    }

    /// Returns the names of its columns.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn columns(&self) -> &[String] {
        &self.head.columns
    }

    /// Returns the rows from a task on to the end of its block; none if it is not in this file.
    pub(crate) fn from(&mut self, task: u64) -> Result<std::vec::IntoIter<Vec<Bytes>>, Failed> {
        let row = task.checked_sub(self.head.first).filter(|row| *row < self.rows);
        let at = row.and_then(|row| {
            self.blocks
                .partition_point(|block| block.row <= row)
                .checked_sub(1)
        });
        let (Some(row), Some(at)) = (row, at) else {
            return Ok(Vec::new().into_iter());
        };
        let block = self.blocks[at];
        let (end, next) = self
            .blocks
            .get(at + 1)
            .map_or((self.index, self.rows), |next| (next.begins, next.row));
        let bytes = read(&self.file, &self.path, block.begins, end)?;
        let tasks = format!(
            "the rows of the tasks {} to {}",
            self.head.first + block.row,
            self.head.first + next - 1
        );
        if crc32fast::hash(&bytes) != block.crc {
            return Err(damaged(&self.path, &format!("{tasks} do not fit their checksum")));
        }
        let rows = rows(&bytes, self.head.columns.len(), next - block.row);
        let rows = rows.ok_or_else(|| damaged(&self.path, &format!("{tasks} are not as they should be")))?;
        let mut rows = rows.into_iter();
        if row > block.row {
            rows.nth((row - block.row - 1) as usize);
        }
        Ok(rows)
    }
}

impl Block {
    fn read(entry: &[u8]) -> Block {
        Block {
            row: u64_at(entry, 0),
            begins: u64_at(entry, 8),
            crc: u32_at(entry, 16),
        }
    }
}

fn open(path: &Path) -> Result<Option<File>, Failed> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", path, &error)),
    }
}

/// Returns the format of a file that a newer program wrote. It may end otherwise, so only its beginning is looked at.
fn newer(file: &File) -> Option<String> {
    let mut begin = [0; 64];
    let read = file.read_at(&mut begin, 0).ok()?;
    let rest = begin[..read].strip_prefix(b"{\"schema\":\"flockwork.rows/")?;
    let digits = rest
        .split(|byte| *byte == b'"')
        .next()
        .filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let version: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (version > 1).then(|| format!("flockwork.rows/{version}"))
}

/// Reads and checks the trailer; also returns how long the file is.
fn trailer(file: &File, path: &Path) -> Result<(Trailer, u64), Failed> {
    let length = file
        .metadata()
        .map_err(|error| failed("read", path, &error))?
        .len();
    let cut = || damaged(path, "its end is missing or is not as it should be");
    let begins = length.checked_sub(TRAILER as u64).ok_or_else(cut)?;
    let bytes = read(file, path, begins, length)?;
    let whole = bytes.ends_with(MAGIC) && crc32fast::hash(&bytes[..20]) == u32_at(&bytes, 20);
    let trailer = Trailer {
        index: u64_at(&bytes, 0),
        rows: u64_at(&bytes, 8),
        crc: u32_at(&bytes, 16),
    };
    if !whole || trailer.index > begins {
        return Err(cut());
    }
    // A block of the index stands for some rows, and there is no file without rows.
    let most = ((begins - trailer.index) / ENTRY as u64).saturating_mul(BLOCK_ROWS);
    match (1..=most).contains(&trailer.rows) {
        true => Ok((trailer, length)),
        false => Err(damaged(path, "its index does not fit its rows")),
    }
}

/// Reads the bytes between two places.
fn read(file: &File, path: &Path, from: u64, to: u64) -> Result<Vec<u8>, Failed> {
    let length = to
        .checked_sub(from)
        .filter(|length| *length <= LONGEST_PART)
        .and_then(|length| usize::try_from(length).ok());
    let mut bytes = vec![0; length.ok_or_else(|| damaged(path, "its index is not as it should be"))?];
    match file.read_exact_at(&mut bytes, from) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged(path, "it was cut")),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Takes a block apart; `None`: the bytes are no such rows.
fn rows(bytes: &[u8], columns: usize, count: u64) -> Option<Vec<Vec<Bytes>>> {
    let mut rest = bytes;
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut values = Vec::with_capacity(columns);
        for _ in 0..columns {
            let (length, after) = rest.split_at_checked(4)?;
            let (value, after) = after.split_at_checked(u32_at(length, 0) as usize)?;
            values.push(Bytes::from(value));
            rest = after;
        }
        rows.push(values);
    }
    rest.is_empty().then_some(rows)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    (0..4).fold(0, |number, byte| {
        number | u32::from(bytes[at + byte]) << (8 * byte)
    })
}

fn damaged(path: &Path, what: &str) -> Failed {
    let text = format!("{} is damaged: {what}", shown::path(path));
    Failed::new(
        BAD_STORE,
        text,
        Some("submit the same again to a new store".to_owned()),
    )
}
