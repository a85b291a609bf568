//! Lists of agencies as files. A crate of its own because what it reads is anybody's spreadsheet:
//! the parsers of CSV, XLSX and JSON stay behind it, and it knows neither the registry nor the
//! network.
//!
//! * [`read()`] takes the bytes of a list as people have them: CSV with comma, semicolon or tab, in
//!   UTF-8, UTF-16 or Windows-1258; XLSX; JSON as the national axis answers it. Vietnamese and
//!   English headings are known, with and without diacritics. What it cannot take it refuses with
//!   row, column, cell and reason; memory is bounded by [`MAX_BYTES`], [`MAX_ROWS`] and
//!   [`MAX_INFLATED`].
//! * [`write()`] makes the same three formats; what it wrote, [`read()`] reads back unchanged.
//! * [`Difference`] tells what two lists differ in, [`Comparison`] how one's own list stands to
//!   the national one.
//!
//! ```
//! use lists::{Format, read, write};
//!
//! let list = read("Mã định danh;Tên đơn vị\n000.00.01.H99;Sở Nội vụ\n".as_bytes()).unwrap();
//! assert_eq!(list.rows[0].entry.code, "000.00.01.H99");
//! let entries: Vec<_> = list.rows.into_iter().map(|row| row.entry).collect();
//! let sheet = write(&entries, Format::Xlsx).unwrap();
//! assert_eq!(read(&sheet).unwrap().rows[0].entry, entries[0]);
//! ```

mod assemble;
mod charset;
mod column;
mod compare;
mod difference;
mod entry;
mod problem;
mod read;
mod sheet;
mod write;

pub use column::{Column, Columns, plain};
pub use compare::{Comparison, Pair, compare};
pub use difference::{Changed, Difference, difference};
pub use entry::{Entry, List, Row, State};
pub use problem::Problem;
pub use read::{MAX_BYTES, MAX_INFLATED, MAX_NAME, MAX_ROWS, read, read_as, read_sheet};
pub use write::{Format, WriteError, write};
