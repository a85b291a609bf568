//! The line that a finding is about, as far as it fits on a terminal, and where in it.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};

use edxml::Encoding;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::output::visible;

/// Columns shown before the place, and in all: with the line's number they fit a terminal of 80,
/// where a longer line would wrap and the mark stand under nothing.
const LEFT: usize = 24;
const WHOLE: usize = 68;

/// Some of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// Columns before the place.
    pub(super) before: usize,
}

/// The line around a byte of the source. `None` if there is nothing to see.
///
/// # Errors
/// If the source cannot be read again.
pub(super) fn excerpt(
    source: &mut (impl Read + Seek + ?Sized),
    offset: u64,
    encoding: Encoding,
) -> io::Result<Option<Excerpt>> {
    // Enough for the columns, whatever the characters; even, so that two-byte units stay whole.
    const BEFORE: u64 = 160;
    const AFTER: u64 = 240;
    let start = offset.saturating_sub(BEFORE);
    source.seek(SeekFrom::Start(start))?;
    let mut window = Vec::new();
    source
        .take(offset - start + AFTER)
        .read_to_end(&mut window)?;
    let full = window.len() as u64 == offset - start + AFTER;
    let at = usize::try_from(offset - start).map_or(window.len(), |at| at.min(window.len()));
    let (before, after) = window.split_at(at);
    let (before, after) = (narrow(before, encoding), narrow(after, encoding));
    let (before, after) = (before.as_ref(), after.as_ref());
    let (before, mut cut) = match before.iter().rposition(|b| *b == b'\n') {
        Some(end) => (&before[end + 1..], false),
        None => (before, start > 0),
    };
    // The window may begin inside a character.
    let whole = before
        .iter()
        .position(|b| b & 0xC0 != 0x80)
        .unwrap_or(before.len());
    let before = &before[whole..];
    let line_end = after.iter().position(|b| matches!(b, b'\n' | b'\r'));
    let mut long = line_end.is_none() && full;
    let mut after = &after[..line_end.unwrap_or(after.len())];
    if let (true, Err(error)) = (long, std::str::from_utf8(after)) {
        after = &after[..error.valid_up_to()];
    }
    let shown = |bytes: &[u8]| -> String {
        String::from_utf8_lossy(bytes)
            .chars()
            .map(visible)
            .collect()
    };
    let head = shown(before);
    let mut head = if cut { &head[..] } else { head.trim_start() };
    while let Some(first) = head.chars().next().filter(|_| head.width() > LEFT) {
        head = &head[first.len_utf8()..];
        cut = true;
    }
    let mut tail = shown(after);
    let mut width = head.width();
    let end = tail.char_indices().find(|(_, c)| {
        width += c.width().unwrap_or(0);
        width > WHOLE
    });
    if let Some((end, _)) = end {
        tail.truncate(end);
        long = true;
    }
    let head = format!("{}{head}", if cut { "…" } else { "" });
    let text = format!("{head}{tail}{}", if long { "…" } else { "" });
    let text = text.trim_end().to_owned();
    Ok((!text.is_empty()).then(|| Excerpt {
        before: head.width(),
        text,
    }))
}

/// UTF-16 as UTF-8, for people to see.
fn narrow(bytes: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    let unit = match encoding {
        Encoding::Utf8 => return Cow::Borrowed(bytes),
        Encoding::Utf16Le => u16::from_le_bytes,
        Encoding::Utf16Be => u16::from_be_bytes,
    };
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|c| *c != '\u{FEFF}')
        .collect();
    Cow::Owned(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn around(text: &str, offset: usize) -> Excerpt {
        excerpt(&mut Cursor::new(text), offset as u64, Encoding::Utf8)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_place_is_marked_in_its_line() {
        let text = "<a>\r\n  <b>Huế</b><c>x</c>\r\n</a>";
        let mark = |needle: &str| around(text, text.find(needle).unwrap());
        let found = mark("<c>");
        assert_eq!(found.text, "<b>Huế</b><c>x</c>");
        assert_eq!(found.before, "<b>Huế</b>".chars().count());
        assert_eq!(mark("<b>").before, 0);
        assert_eq!(mark("<a>").text, "<a>");
        // In UTF-16 the same is seen.
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let units = text[..text.find("<c>").unwrap()].encode_utf16().count();
        let seen = excerpt(&mut Cursor::new(wide), 2 * units as u64, Encoding::Utf16Be);
        assert_eq!(seen.unwrap().unwrap(), found);
        let nothing = excerpt(&mut Cursor::new(""), 0, Encoding::Utf8);
        assert_eq!(nothing.unwrap(), None);
        // Behind the end of a source that became shorter.
        assert_eq!(around("ab", 9).text, "ab");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place_to_fit_a_terminal() {
        for (side, columns) in [
            ("x", 1),
            ("ế", 1),
            ("\u{301}e", 1),
            ("漢", 2),
            ("\t", 1),
            ("\u{202e}", 1),
        ] {
            let text = format!("{0}!{0}", side.repeat(300));
            let found = around(&text, 300 * side.len());
            assert!(
                found.text.starts_with('…') && found.text.ends_with('…'),
                "{found:?}"
            );
            assert!(found.text.width() <= 70, "{found:?}");
            assert!(found.before > 20 && found.before <= 25, "{found:?}");
            // The mark is under the place, counted in columns.
            let (head, _) = found.text.split_once('!').unwrap();
            assert_eq!(head.width(), found.before, "{found:?}");
            assert!(!found.text.contains(['\t', '\u{202e}']), "{found:?}");
            let shown = found.text.width() - 3;
            assert!(shown > WHOLE / 2 * columns / 2, "{found:?}");
        }
    }
}
