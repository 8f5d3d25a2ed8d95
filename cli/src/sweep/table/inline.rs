//! `--sweep NAME=VALUES`: lists and ranges of values, never written out in memory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use flockwork::app::exit::Failed;

use super::range::Range;
use crate::sweep::shown::{count, plain};
use crate::task::Bytes;

/// The values of one column.
#[derive(Debug)]
struct Inline {
    name: String,
    items: Vec<Item>,
    /// How many values stand before each item.
    before: Vec<u64>,
    count: u64,
}

#[derive(Debug)]
enum Item {
    Text(Bytes),
    Range(Range),
}

/// The columns of all `--sweep`, and how they are walked.
#[derive(Debug)]
pub(super) struct Sweeps {
    columns: Vec<Inline>,
    zip: bool,
    /// How many rows they make.
    pub(super) count: u64,
}

impl Sweeps {
    /// Reads the options; `None`: there are none.
    pub(super) fn parse(given: &[OsString], zip: bool) -> Result<Option<Sweeps>, Failed> {
        let columns = given.iter().map(Inline::parse).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = columns.first() else {
            return match zip {
                true => Err(Failed::usage(
                    "--zip without --sweep",
                    "it walks the lists of several --sweep together",
                )),
                false => Ok(None),
            };
        };
        let rows = if zip {
            if let Some(other) = columns.iter().find(|column| column.count != first.count) {
                let (one, two) = (count(first.count, "value"), count(other.count, "value"));
                let (one_name, two_name) = (plain(&first.name), plain(&other.name));
                let text = format!(
                    "--zip needs lists of one length, but {one_name} has {one} and {two_name} has {two}"
                );
                return Err(Failed::usage(
                    text,
                    "leave --zip out to combine each value with each",
                ));
            }
            first.count
        } else {
            let product = columns
                .iter()
                .try_fold(1_u64, |product, column| product.checked_mul(column.count));
            product.ok_or_else(|| {
                Failed::usage("the --sweep options make too many rows", "make a list shorter")
            })?
        };
        Ok(Some(Sweeps {
            columns,
            zip,
            count: rows,
        }))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// Returns a row; the first column varies slowest.
    pub(super) fn row(&self, place: u64) -> Vec<Bytes> {
        if self.zip {
            return self.columns.iter().map(|column| column.get(place)).collect();
        }
        let mut rest = place;
        let mut row: Vec<Bytes> = self
            .columns
            .iter()
            .rev()
            .map(|column| {
                let value = column.get(rest % column.count);
                rest /= column.count;
                value
            })
            .collect();
        row.reverse();
        row
    }
}

impl Inline {
    fn parse(given: &OsString) -> Result<Inline, Failed> {
        let shown = plain(&given.to_string_lossy());
        let refuse = |what: String, hint: &str| Failed::usage(format!("--sweep {shown}: {what}"), hint);
        let form = "write --sweep alpha=0.1,0.2 or --sweep seed=1..100";
        let bytes = given.as_bytes();
        let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else {
            return Err(refuse("no `=` between name and values".to_owned(), form));
        };
        let name = String::from_utf8(bytes[..equals].to_vec());
        let name = name.map_err(|_| refuse("the name is no UTF-8".to_owned(), form))?;
        let mut inline = Inline {
            name,
            items: Vec::new(),
            before: Vec::new(),
            count: 0,
        };
        for item in bytes[equals + 1..].split(|byte| *byte == b',') {
            if item.is_empty() {
                let what = "an empty value".to_owned();
                return Err(refuse(
                    what,
                    "take the comma away; for empty values use a table with --params",
                ));
            }
            let range = match std::str::from_utf8(item) {
                Ok(text) => Range::parse(text).map_err(|what| {
                    refuse(
                        plain(&what),
                        "a range is 1..100, 1..100..5 or 0..1..0.1; for other texts use --params",
                    )
                })?,
                Err(_) => None,
            };
            let item = range.map_or_else(|| Item::Text(Bytes::from(item)), Item::Range);
            let values = if let Item::Range(range) = &item {
                range.count
            } else {
                1
            };
            inline.before.push(inline.count);
            inline.items.push(item);
            let total = inline.count.checked_add(values);
            inline.count =
                total.ok_or_else(|| refuse("too many values".to_owned(), "make the list shorter"))?;
        }
        Ok(inline)
    }

    /// Returns the value at a place, from 0.
    fn get(&self, place: u64) -> Bytes {
        let item = self
            .before
            .partition_point(|before| *before <= place)
            .saturating_sub(1);
        match &self.items[item] {
            Item::Text(text) => text.clone(),
            Item::Range(range) => Bytes::from(range.get(place - self.before[item])),
        }
    }
}
