//! Lists: `{"status":…,"data":[row,row,…]}`, written and read row by row.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Envelope;

/// Longest row that is read, in bytes.
pub const ROW: usize = 64 << 10;
/// Most that is read beside the rows, in bytes.
pub const BESIDE: usize = 16 << 10;

/// Writes a list: a head, rows, an end.
#[derive(Debug, Default)]
pub struct ListWriter {
    out: BytesMut,
    rows: bool,
}

impl ListWriter {
    /// A list that begins.
    #[must_use]
    pub fn new() -> Self {
        let mut out = BytesMut::new();
        let ok = crate::answer::DONE;
        out.extend_from_slice(br#"{"status":"OK","ErrorCode":"0","ErrorDesc":""#);
        out.extend_from_slice(ok.as_bytes());
        out.extend_from_slice(br#"","data":["#);
        Self { out, rows: false }
    }

    /// Adds a row.
    pub fn push(&mut self, row: &impl Serialize) {
        if self.rows {
            self.out.put_u8(b',');
        }
        self.rows = true;
        let begun = self.out.len();
        if serde_json::to_writer((&mut self.out).writer(), row).is_err() {
            // Rows are plain texts and numbers: this does not happen, and would make no list.
            self.out.truncate(begun);
            self.out.extend_from_slice(b"{}");
        }
    }

    /// How much is written and not taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What is written so far, to be sent.
    pub fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// The list is over.
    #[must_use]
    pub fn end(mut self) -> Bytes {
        self.out.extend_from_slice(b"]}");
        self.out.freeze()
    }
}

/// What came is no list. It is never taken for an empty one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListFault {
    /// Nothing came.
    #[error("the answer is empty")]
    Empty,
    /// It is no JSON object; an error page, perhaps.
    #[error("the answer is not JSON; it begins with {0:?}")]
    NotJson(String),
    /// It broke off.
    #[error("the answer broke off in its middle")]
    CutOff,
    /// A row, or what stands beside the rows, is beyond all measure.
    #[error("the answer has a part of more than {0} bytes")]
    TooLarge(usize),
    /// A row is not what it should be.
    #[error("row {number} cannot be read")]
    Row {
        /// Which, from 1.
        number: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// What stands beside the rows cannot be read.
    #[error("the answer cannot be read")]
    Beside(#[source] serde_json::Error),
    /// Something follows behind the end.
    #[error("something follows behind the answer")]
    Behind,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Inside the answer, outside its rows.
    Beside,
    /// Between two rows.
    Between,
    /// Inside a row.
    Row,
    End,
}

/// Reads a list as it comes: rows are given one by one, what is beside them at the end. Its
/// memory is bounded by one row.
#[derive(Debug)]
pub struct ListReader<R> {
    place: Place,
    /// Open brackets.
    depth: usize,
    text: bool,
    escaped: bool,
    beside: Vec<u8>,
    row: Vec<u8>,
    /// A comma came; a row must follow.
    comma: bool,
    number: u64,
    listed: bool,
    of: std::marker::PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Default for ListReader<R> {
    fn default() -> Self {
        Self {
            place: Place::Start,
            depth: 0,
            text: false,
            escaped: false,
            beside: Vec::new(),
            row: Vec::new(),
            comma: false,
            number: 0,
            listed: false,
            of: std::marker::PhantomData,
        }
    }
}

impl<R: DeserializeOwned> ListReader<R> {
    /// Takes the next bytes; `out` gets the rows in them.
    ///
    /// # Errors
    /// [`ListFault`]; the reader is of no use then.
    pub fn push(&mut self, bytes: &[u8], mut out: impl FnMut(R)) -> Result<(), ListFault> {
        for (at, byte) in bytes.iter().copied().enumerate() {
            match self.place {
                Place::Start => match byte {
                    // A byte order mark, or blanks.
                    0xef | 0xbb | 0xbf => {}
                    _ if byte.is_ascii_whitespace() => {}
                    b'{' => {
                        self.place = Place::Beside;
                        self.aside(byte)?;
                    }
                    _ => {
                        let start = &bytes[at..bytes.len().min(at + 40)];
                        let start = String::from_utf8_lossy(start).into_owned();
                        return Err(ListFault::NotJson(start));
                    }
                },
                Place::Beside => self.aside(byte)?,
                Place::Between => match byte {
                    _ if byte.is_ascii_whitespace() => {}
                    b',' if self.number > 0 && !self.comma => self.comma = true,
                    b']' if !self.comma => {
                        self.place = Place::Beside;
                        self.aside(byte)?;
                    }
                    b'{' if self.comma || self.number == 0 => {
                        self.place = Place::Row;
                        self.comma = false;
                        self.row(byte, &mut out)?;
                    }
                    _ => {
                        let start = char::from(byte).to_string();
                        return Err(ListFault::NotJson(start));
                    }
                },
                Place::Row => self.row(byte, &mut out)?,
                Place::End if byte.is_ascii_whitespace() || byte == 0 => {}
                Place::End => return Err(ListFault::Behind),
            }
        }
        Ok(())
    }

    /// A byte outside the rows.
    fn aside(&mut self, byte: u8) -> Result<(), ListFault> {
        if self.beside.len() >= BESIDE {
            return Err(ListFault::TooLarge(BESIDE));
        }
        let text = self.text;
        self.step(byte);
        if !text && byte.is_ascii_whitespace() {
            return Ok(());
        }
        self.beside.push(byte);
        if self.depth == 0 {
            self.place = Place::End;
        } else if byte == b'[' && self.depth == 2 && !self.text && !self.listed {
            let rest = self.beside.strip_suffix(br#""data":["#);
            if rest.is_some_and(|rest| matches!(rest.last(), Some(b'{' | b','))) {
                self.listed = true;
                self.place = Place::Between;
            }
        }
        Ok(())
    }

    /// A byte of a row.
    fn row(&mut self, byte: u8, out: &mut impl FnMut(R)) -> Result<(), ListFault> {
        if self.row.len() >= ROW {
            return Err(ListFault::TooLarge(ROW));
        }
        self.step(byte);
        self.row.push(byte);
        if self.depth == 2 && !self.text {
            self.number += 1;
            let number = self.number;
            let row = serde_json::from_slice(&self.row);
            out(row.map_err(|source| ListFault::Row { number, source })?);
            self.row.clear();
            self.place = Place::Between;
        }
        Ok(())
    }

    /// Keeps count of brackets outside texts.
    fn step(&mut self, byte: u8) {
        if self.text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.text = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// The answer is over: what stands beside the rows.
    ///
    /// # Errors
    /// [`ListFault`].
    pub fn end(self) -> Result<Envelope, ListFault> {
        match self.place {
            Place::Start => Err(ListFault::Empty),
            Place::End => serde_json::from_slice(&self.beside).map_err(ListFault::Beside),
            _ => Err(ListFault::CutOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{AgencyRow, Received};
    use proptest::prelude::*;

    fn read<R: DeserializeOwned>(
        text: &[u8],
        piece: usize,
    ) -> Result<(Vec<R>, Envelope), ListFault> {
        let mut reader = ListReader::default();
        let mut rows = Vec::new();
        for chunk in text.chunks(piece) {
            reader.push(chunk, |row| rows.push(row))?;
        }
        Ok((rows, reader.end()?))
    }

    fn agency(name: &str) -> AgencyRow {
        AgencyRow {
            code: "H99".to_owned(),
            name: name.to_owned(),
            ..AgencyRow::default()
        }
    }

    #[test]
    fn f8_what_is_no_list_is_an_error_and_never_nothing() {
        for (text, what) in [
            ("", "Empty"),
            ("   ", "Empty"),
            ("<html><body>502</body></html>", "NotJson"),
            ("null", "NotJson"),
            ("[]", "NotJson"),
            (r#"{"status":"OK","data":["#, "CutOff"),
            (r#"{"status":"OK","data":[{"code":"a"},"#, "CutOff"),
            (r#"{"status":"OK","data":[{"code":"a"},]}"#, "NotJson"),
            (
                r#"{"status":"OK","data":[{"code":"a"}{"code":"b"}]}"#,
                "NotJson",
            ),
            (r#"{"status":"OK","data":["a"]}"#, "NotJson"),
            (r#"{"status":"OK","data":[{"code":}]}"#, "Row"),
            (r#"{"status":"OK","data":[]}{}"#, "Behind"),
            (r#"{"status" "OK"}"#, "Beside"),
        ] {
            let fault = read::<AgencyRow>(text.as_bytes(), 3).unwrap_err();
            assert!(format!("{fault:?}").starts_with(what), "{text}: {fault:?}");
        }
    }

    #[test]
    fn a_refusal_instead_of_a_list_is_read_as_that() {
        let text = br#"{"status":"FAIL","ErrorCode":"15","ErrorDesc":"sai khoa","data":null}"#;
        let (rows, envelope) = read::<AgencyRow>(text, 7).unwrap();
        assert!(rows.is_empty() && !envelope.is_ok());
        assert_eq!(envelope.error_code, "15");
    }

    #[test]
    fn a_row_without_end_and_a_bloated_rest_are_refused() {
        let row = format!(r#"{{"status":"OK","data":[{{"name":"{}"#, "x".repeat(ROW));
        assert!(matches!(
            read::<AgencyRow>(row.as_bytes(), 1000),
            Err(ListFault::TooLarge(ROW))
        ));
        let beside = format!(r#"{{"status":"{}"#, "x".repeat(BESIDE));
        assert!(matches!(
            read::<AgencyRow>(beside.as_bytes(), 1000),
            Err(ListFault::TooLarge(BESIDE))
        ));
    }

    #[test]
    fn a_name_that_looks_like_the_end_is_a_name() {
        let mut writer = ListWriter::new();
        let names = [r#"]} "data":[ \" {"#, "Sở Nội vụ", ""];
        for name in names {
            writer.push(&agency(name));
        }
        let text = writer.end();
        let (rows, envelope) = read::<AgencyRow>(&text, 1).unwrap();
        assert!(envelope.is_ok());
        assert_eq!(rows, names.map(agency));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            names in proptest::collection::vec(".{0,20}", 0..20),
            piece in 1_usize..50,
        ) {
            let mut writer = ListWriter::new();
            let mut text = Vec::new();
            for name in &names {
                writer.push(&agency(name));
                text.extend(writer.take());
            }
            text.extend(writer.end());
            let (rows, envelope) = read::<AgencyRow>(&text, piece).unwrap();
            prop_assert!(envelope.is_ok());
            prop_assert_eq!(rows, names.iter().map(|name| agency(name)).collect::<Vec<_>>());
        }

        #[test]
        fn nothing_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Received>(&text, 7);
            let inside = [br#"{"data":["#.as_slice(), &text].concat();
            let _ = read::<Received>(&inside, 7);
        }
    }
}
