//! Names for files on disk, made from names that anybody may have sent.

use unicode_normalization::UnicodeNormalization;

/// The longest name made, in bytes: most file systems end at 255.
const LONGEST: usize = 180;

/// A name for a file on any common system, as close to the one sent as is safe: no path, no
/// control or direction characters, nothing that Windows forbids, no leading or trailing dots or
/// blanks, no leading dash, composed (NFC), of at most 180 bytes with its ending kept. `None` if nothing is left.
///
/// Two names may come out the same; whoever writes files must look.
///
/// ```
/// use edxml::safe_file_name;
/// assert_eq!(safe_file_name("Công văn 12.pdf").as_deref(), Some("Công văn 12.pdf"));
/// assert_eq!(safe_file_name("../../etc/passwd").as_deref(), Some("passwd"));
/// assert_eq!(safe_file_name("C:\\tmp\\a?.doc").as_deref(), Some("a_.doc"));
/// assert_eq!(safe_file_name("..").as_deref(), None);
/// ```
pub fn safe_file_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .nfc()
        .filter(|c| !is_hidden(*c))
        .map(|c| match c {
            '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
            // A line of its own kind would be as odd as a control character.
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    let mut safe = trim(&plain).to_owned();
    if safe.len() > LONGEST {
        let (stem, ending) = match safe.rsplit_once('.') {
            Some((stem, ending)) if ending.len() <= 16 => (stem, format!(".{ending}")),
            _ => (safe.as_str(), String::new()),
        };
        let mut end = stem.len().min(LONGEST - ending.len());
        while !stem.is_char_boundary(end) {
            end -= 1;
        }
        safe = format!("{}{ending}", stem[..end].trim_end());
    }
    // A command would take a leading dash for an option.
    if is_device(&safe) || safe.starts_with('-') {
        safe.insert(0, '_');
    }
    (!safe.is_empty()).then_some(safe)
}

fn trim(name: &str) -> &str {
    name.trim_matches(|c| c == '.' || c == ' ')
}

/// Control characters, and those that make text run the other way or cannot be seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFFD}' | '\u{AD}' | '\u{61C}')
}

/// Names that Windows keeps for devices, whatever their ending.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim();
    let numbered = |device: &str| {
        stem.len() == 4
            && stem
                .get(..3)
                .is_some_and(|head| head.eq_ignore_ascii_case(device))
            && stem.as_bytes()[3].is_ascii_digit()
    };
    ["con", "prn", "aux", "nul"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("com")
        || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn absurd_names_become_harmless() {
        for (name, safe) in [
            ("a.pdf", Some("a.pdf")),
            (" a .pdf. ", Some("a .pdf")),
            ("/etc/passwd", Some("passwd")),
            ("a/../b.doc", Some("b.doc")),
            ("..\\..\\b.doc", Some("b.doc")),
            (".bashrc", Some("bashrc")),
            ("CON.pdf", Some("_CON.pdf")),
            ("com1", Some("_com1")),
            ("comx", Some("comx")),
            ("-rf", Some("_-rf")),
            ("a\0\n\u{202E}fdp.exe", Some("afdp.exe")),
            ("Cong va\u{306}n.pdf", Some("Cong văn.pdf")),
            ("", None),
            ("...", None),
            ("a/", None),
        ] {
            assert_eq!(safe_file_name(name).as_deref(), safe, "{name:?}");
        }
        let long = safe_file_name(&format!("{}.pdf", "ế".repeat(500))).unwrap();
        assert!(long.len() <= LONGEST && long.ends_with("ế.pdf"));
    }

    proptest! {
        #[test]
        fn every_name_is_safe_and_safe_names_stay(name in "\\PC{0,300}|[./\\\\ a\\x00-\\x1f]{0,20}") {
            if let Some(safe) = safe_file_name(&name) {
                prop_assert!(!safe.is_empty() && safe.len() <= LONGEST + 1);
                prop_assert!(!safe.contains(['/', '\\', '\0']) && !safe.starts_with('.'));
                let again = safe_file_name(&safe);
                prop_assert_eq!(again.as_deref(), Some(safe.as_str()));
            }
        }
    }
}
