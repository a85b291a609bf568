//! Where parts of a package stand in its bytes, and what is left without those that may differ
//! between copies of one document.

use std::io::Read;
use std::ops::Range;

/// Byte ranges in the package as sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spans {
    /// Each `MessageHeader/To`, from `<` to `>`.
    pub to: Vec<Range<u64>>,
    /// `TraceHeaderList`, from `<` to `>`; the first one if there are several.
    pub trace_header_list: Option<Range<u64>>,
    /// The `Signature`, from `<` to `>`; the first one if there are several.
    pub signature: Option<Range<u64>>,
    /// The text of `MessageHeader/DocumentId`, between its tags; the one that counts.
    pub document_id: Option<Range<u64>>,
    /// The texts of `Bussiness/DocumentId` and of each `ReplacementInfo/DocumentId`.
    pub business_document_ids: Vec<Range<u64>>,
    /// The texts of each `ResponseFor/DocumentId`.
    pub response_for_document_ids: Vec<Range<u64>>,
}

impl Spans {
    /// The ranges that [`essence`] leaves out, in order, none touching another.
    pub fn inessential(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = self
            .to
            .iter()
            .chain(&self.trace_header_list)
            .chain(&self.signature)
            .filter(|range| range.start < range.end)
            .cloned()
            .collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup_by(|next, before| {
            let joined = next.start <= before.end;
            if joined {
                before.end = before.end.max(next.end);
            }
            joined
        });
        ranges
    }
}

/// Feeds the bytes of a package outside `To`, `TraceHeaderList` and `Signature` to `sink`, in
/// order: what two copies of one document for different receivers have in common. The white
/// space before such an element belongs to it, so that a shorter list leaves no gap behind.
///
/// The source is read to its end, in pieces of at most 64 KiB.
///
/// # Errors
/// Those of the source.
pub fn essence(
    mut source: impl Read,
    spans: &Spans,
    mut sink: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let mut left_out = spans.inessential().into_iter().peekable();
    let mut buffer = vec![0; 64 * 1024];
    let mut offset = 0u64;
    // White space that is left out if an inessential element comes next.
    let mut held: Vec<u8> = Vec::new();
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => {
                sink(&held);
                return Ok(());
            }
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let mut piece = &buffer[..count];
        while !piece.is_empty() {
            let distance = |to: u64| {
                usize::try_from(to.saturating_sub(offset))
                    .map_or(piece.len(), |n| n.min(piece.len()))
            };
            let taken = match left_out.peek() {
                None => {
                    sink(&held);
                    held.clear();
                    sink(piece);
                    piece.len()
                }
                Some(range) if offset < range.start => {
                    let taken = distance(range.start);
                    let kept = piece[..taken].trim_ascii_end();
                    if !kept.is_empty() {
                        sink(&held);
                        held.clear();
                        sink(kept);
                    }
                    held.extend_from_slice(&piece[kept.len()..taken]);
                    if held.len() > HELD {
                        sink(&held);
                        held.clear();
                    }
                    taken
                }
                Some(range) if offset < range.end => {
                    held.clear();
                    distance(range.end)
                }
                Some(_) => {
                    left_out.next();
                    0
                }
            };
            offset += taken as u64;
            piece = &piece[taken..];
        }
    }
}

/// The most white space before an element that is taken for its indentation.
const HELD: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_essence_is_what_is_outside_the_ranges(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'x')], 0..300),
            ranges in proptest::collection::vec((0u64..320, 0u64..40), 0..8),
        ) {
            let to: Vec<_> = ranges.iter().map(|(start, length)| *start..start + length).collect();
            let spans = Spans { to: to.clone(), ..Spans::default() };
            let mut found = Vec::new();
            essence(&bytes[..], &spans, |piece| found.extend_from_slice(piece)).unwrap();
            let mut left_out: Vec<bool> =
                (0..bytes.len() as u64).map(|i| to.iter().any(|range| range.contains(&i))).collect();
            for range in to.iter().filter(|range| !range.is_empty()) {
                let mut at = usize::try_from(range.start).unwrap();
                while at > 0 && at < bytes.len() && bytes[at - 1].is_ascii_whitespace() {
                    at -= 1;
                    left_out[at] = true;
                }
            }
            let kept = bytes.iter().zip(&left_out).filter(|(_, left_out)| !**left_out);
            let expected: Vec<u8> = kept.map(|(b, _)| *b).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
