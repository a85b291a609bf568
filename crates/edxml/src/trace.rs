//! Appending to the trace of a package: one element more, and no other byte changed (reference
//! section i).

use std::ops::Range;

use crate::package::TraceHeader;
use crate::read::Reading;
use crate::source::Encoding;
use crate::write;

/// Why no trace can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The package has no `TraceHeaderList`, or an empty one (`<TraceHeaderList/>`).
    #[error("the package has no TraceHeaderList with a closing tag to append to")]
    NoList,
    /// The package is in UTF-16.
    #[error("the package is not in UTF-8")]
    Encoding,
    /// The reading is not of these bytes.
    #[error("the reading is not of this package")]
    OtherPackage,
}

/// The package with one `TraceHeader` more, after those that are there. No other byte changes: what
/// is signed but for the trace stays as it was, and so does the order in time.
///
/// The new element has the prefix and the indentation of the list's closing tag.
///
/// ```
/// # use edxml::{Date, Limits, Organ, Package, Timestamp, TraceHeader, read, with_trace, write};
/// # let to = vec![Organ::new("H47.2", None)];
/// # let date = Date::new(2026, 3, 2).unwrap();
/// # let draft = write::DocumentDraft::new(Organ::new("H47.1", None), to, "1", "A", date);
/// # let package = write::document(&draft);
/// let step = TraceHeader {
///     organ_id: Some("H47".into()),
///     timestamp: Timestamp::new(2026, 3, 2, 8, 30, 0),
/// };
/// let reading = read(&package, &Limits::default());
/// let longer = with_trace(&package, &reading, &step)?;
/// let Some(Package::Document(document)) = read(&longer, &Limits::default()).package else { panic!() };
/// assert_eq!(document.trace.last(), Some(&step));
/// # Ok::<(), edxml::TraceError>(())
/// ```
///
/// # Errors
/// If there is no list to append to.
pub fn with_trace(
    package: &[u8],
    reading: &Reading,
    step: &TraceHeader,
) -> Result<Vec<u8>, TraceError> {
    if reading.encoding != Encoding::Utf8 {
        return Err(TraceError::Encoding);
    }
    let span = reading
        .spans
        .trace_header_list
        .as_ref()
        .ok_or(TraceError::NoList)?;
    let list = slice(package, span).ok_or(TraceError::OtherPackage)?;
    let close = memchr::memmem::rfind(list, b"</").ok_or(TraceError::NoList)?;
    let tag = std::str::from_utf8(&list[close + 2..]).map_err(|_| TraceError::OtherPackage)?;
    let name = tag.trim_end_matches('>').trim_end();
    let prefix = match name.strip_suffix("TraceHeaderList") {
        Some("") => "",
        Some(prefix) if prefix.ends_with(':') => prefix,
        _ => return Err(TraceError::OtherPackage),
    };
    let start = usize::try_from(span.start).map_err(|_| TraceError::OtherPackage)?;
    // The white space before the closing tag: that which stands before the tag in its line.
    let head = &package[..start + close];
    let line = head
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(head.len(), |end| end + 1);
    let indent = &head[line..];
    let at = if indent.iter().all(u8::is_ascii_whitespace) {
        line
    } else {
        head.len()
    };
    let (indent, end): (&[u8], &[u8]) = if at == head.len() {
        (b"", b"")
    } else if head[..line].ends_with(b"\r\n") {
        (indent, b"\r\n")
    } else {
        (indent, b"\n")
    };
    let new = write::trace_header(prefix, indent, end, step);
    Ok([&package[..at], &new, &package[at..]].concat())
}

fn slice<'a>(package: &'a [u8], span: &Range<u64>) -> Option<&'a [u8]> {
    let start = usize::try_from(span.start).ok()?;
    package.get(start..usize::try_from(span.end).ok()?)
}
