//! What goes to stdout: aligned tables for people, one JSON object a line for scripts.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Prints one object as one line and flushes it, so that a script reading along sees it now.
///
/// # Errors
/// If stdout is gone.
pub(crate) fn json(object: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(object)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Prints one line for people.
///
/// # Errors
/// If stdout is gone.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref().as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// Lays rows out under a header. Columns are aligned by display width, so that Vietnamese
/// letters count as one.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A character of a text that anybody may have sent, as a terminal may show it: nothing that it
/// would obey, and nothing that hides or turns round what stands beside it.
pub(crate) fn visible(c: char) -> char {
    match c {
        c if c.is_control() => ' ',
        '\u{AD}'
        | '\u{61C}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}' => '·',
        c => c,
    }
}

/// A text that anybody may have sent, such as the name of a file, as a terminal may show it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// How a word is set off on a terminal. Piped output and `NO_COLOR` get the plain word.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tone {
    /// A heading.
    Strong,
    /// It went well.
    Good,
    /// It was refused, lost, damaged.
    Bad,
    /// Beside the main text.
    Faint,
}

/// Sets off words where stdout is a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// As stdout and `NO_COLOR` ask for.
    pub(crate) fn for_stdout() -> Self {
        Self(
            io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        )
    }

    /// `text`, set off if stdout is a terminal.
    pub(crate) fn tone(self, tone: Tone, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.0 {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Never sets anything off.
#[cfg(test)]
pub(crate) const PLAIN: Paint = Paint(false);

/// A size as people read it: `4.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths, kept whole: no figure of this program needs a float.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// The first `chars` characters of a text, with an ellipsis where it was cut.
pub(crate) fn shorten(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_width_and_lines_have_no_trailing_blanks() {
        let text = table(
            ["Mã", "Tên"],
            [
                ["H41".to_owned(), "Nghệ An".to_owned()],
                ["000.00.00.G22".to_owned(), "VPCP".to_owned()],
            ],
        );
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "Mã             Tên",
                "H41            Nghệ An",
                "000.00.00.G22  VPCP"
            ]
        );
    }

    #[test]
    fn sizes_and_long_texts_are_told_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(50 << 20), "50.0 MiB");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        assert_eq!(shorten("Văn phòng Chính phủ", 10), "Văn phòng…");
        assert_eq!(shorten("Nghệ An", 10), "Nghệ An");
    }

    #[test]
    fn piped_output_is_plain() {
        assert_eq!(PLAIN.tone(Tone::Bad, "mất"), "mất");
        assert_eq!(Paint(true).tone(Tone::Bad, "mất"), "\x1b[31mmất\x1b[0m");
    }
}
