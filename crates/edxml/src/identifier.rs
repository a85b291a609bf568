//! Agency codes (`OrganId`, mã định danh): the forms of 2016, of 2020, of enterprises, and the
//! rest of the real world (reference section c).
//!
//! A code is an opaque key. Its structure is worth a warning, never a refusal: real codes break
//! the rules every day (`28.22.H17`, `001.00.20.TT2`, `vxp.saas.03`).

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// An agency code as it was received.
///
/// Equality is of the text as received; look codes up by [`canonical`](AgencyCode::canonical).
///
/// ```
/// use edxml::identifier::{AgencyCode, Form};
/// let code = AgencyCode::new(" 000.00.12.h47 ");
/// assert_eq!(code.canonical(), "000.00.12.H47");
/// let code = AgencyCode::new("000.00.12.H47");
/// assert_eq!(code.form(), Form::Form2016);
/// assert_eq!(code.hint_2020().as_deref(), Some("H47.12"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgencyCode(String);

/// Which rule a code follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Thirteen characters in four groups, lowest level first: `000.00.12.H47` (section c.1).
    Form2016,
    /// Groups from level 1 on the left: `H47.12` (section c.2, Decision 20/2020/QĐ-TTg).
    Form2020,
    /// A business registration code: ten digits, or ten and three (section c.2).
    Enterprise,
    /// None of these; what is wrong with it.
    Irregular(Irregularity),
}

/// Why a code follows no known rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Irregularity {
    /// Nothing, or only white space.
    #[error("it is empty")]
    Empty,
    /// The word `null`, left by a faulty program.
    #[error("it is the word null")]
    Null,
    /// Longer than the 35 characters of Decision 20/2020/QĐ-TTg.
    #[error("it is longer than 35 characters")]
    TooLong,
    /// Small letters; codes are written in capitals.
    #[error("it has small letters")]
    SmallLetters,
    /// White space around or inside.
    #[error("it has white space")]
    WhiteSpace,
    /// A character that is no letter A–Z, digit or dot.
    #[error("it has the character {0:?}")]
    ForeignCharacter(char),
    /// The form of 2016 with leading groups left out (`28.22.H17`).
    #[error("leading groups are missing from the form of 2016")]
    MissingGroups,
    /// Groups of other lengths or kinds than any form has.
    #[error("its groups are not those of any known form")]
    Groups,
}

impl Irregularity {
    /// The same in Vietnamese.
    pub fn text_vi(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Irregularity::Empty => "mã để trống",
            Irregularity::Null => "mã là chữ null",
            Irregularity::TooLong => "mã dài hơn 35 ký tự",
            Irregularity::SmallLetters => "mã có chữ thường",
            Irregularity::WhiteSpace => "mã có khoảng trắng",
            Irregularity::ForeignCharacter(c) => return Cow::Owned(format!("mã có ký tự {c:?}")),
            Irregularity::MissingGroups => "mã theo mẫu 2016 nhưng thiếu các nhóm đầu",
            Irregularity::Groups => "các nhóm của mã không đúng mẫu nào",
        })
    }
}

impl AgencyCode {
    /// Keeps a code as received.
    pub fn new(text: impl Into<String>) -> AgencyCode {
        AgencyCode(text.into())
    }

    /// The text as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The form for looking up: composed (NFC), trimmed, in capitals.
    pub fn canonical(&self) -> String {
        let trimmed = self.0.trim();
        if trimmed.is_ascii() {
            trimmed.to_ascii_uppercase()
        } else {
            // Capitals may need composing again.
            let capitals = trimmed.nfc().flat_map(char::to_uppercase);
            capitals.nfc().collect()
        }
    }

    /// Which rule the text, as received, follows.
    pub fn form(&self) -> Form {
        let text = self.0.as_str();
        if is_2016(text) {
            Form::Form2016
        } else if is_2020(text) {
            Form::Form2020
        } else if is_enterprise(text) {
            Form::Enterprise
        } else {
            Form::Irregular(irregularity(text))
        }
    }

    /// `Ok` if the text follows a known rule, else the rule it breaks.
    ///
    /// # Errors
    /// The [`Irregularity`] found first.
    pub fn check(&self) -> Result<(), Irregularity> {
        match self.form() {
            Form::Irregular(why) => Err(why),
            _ => Ok(()),
        }
    }

    /// What a code of 2016 would be in the form of 2020 if the change were mechanical: groups
    /// turned round, zero groups dropped (section c.4).
    ///
    /// Only a hint for a person. The true mapping is a table; `H55.242` comes from no rule.
    pub fn hint_2020(&self) -> Option<String> {
        let canonical = self.canonical();
        if !is_2016(&canonical) && irregularity(&canonical) != Irregularity::MissingGroups {
            return None;
        }
        let groups = canonical
            .rsplit('.')
            .filter(|group| !group.bytes().all(|b| b == b'0'));
        Some(groups.collect::<Vec<_>>().join("."))
    }
}

impl fmt::Display for AgencyCode {
    /// The text as received.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for AgencyCode {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AgencyCode {
    fn from(text: &str) -> Self {
        AgencyCode::new(text)
    }
}

impl From<String> for AgencyCode {
    fn from(text: String) -> Self {
        AgencyCode(text)
    }
}

fn digits(group: &str, count: usize) -> bool {
    group.len() == count && group.bytes().all(|b| b.is_ascii_digit())
}

/// A capital letter and two digits.
fn level_1(group: &str) -> bool {
    matches!(group.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

fn is_2016(text: &str) -> bool {
    let mut groups = text.split('.');
    text.len() == 13
        && groups.next().is_some_and(|g| digits(g, 3))
        && groups.next().is_some_and(|g| digits(g, 2))
        && groups.next().is_some_and(|g| digits(g, 2))
        && groups.next().is_some_and(level_1)
        && groups.next().is_none()
}

fn is_2020(text: &str) -> bool {
    let mut groups = text.split('.');
    text.len() <= 35
        && groups.next().is_some_and(level_1)
        && groups.all(|g| {
            !g.is_empty()
                && g.bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        })
}

fn is_enterprise(text: &str) -> bool {
    match text.len() {
        10 | 13 => digits(text, text.len()),
        14 => text
            .split_once('-')
            .is_some_and(|(head, tail)| digits(head, 10) && digits(tail, 3)),
        _ => false,
    }
}

fn irregularity(text: &str) -> Irregularity {
    if text.trim().is_empty() {
        return Irregularity::Empty;
    }
    if text.trim().eq_ignore_ascii_case("null") {
        return Irregularity::Null;
    }
    if text.chars().any(char::is_whitespace) {
        return Irregularity::WhiteSpace;
    }
    if let Some(odd) = text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && *c != '.')
    {
        return Irregularity::ForeignCharacter(odd);
    }
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Irregularity::SmallLetters;
    }
    if text.len() > 35 {
        return Irregularity::TooLong;
    }
    let short = text.rsplit_once('.').is_some_and(|(head, last)| {
        level_1(last)
            && head.split('.').count() < 3
            && head.split('.').all(|g| digits(g, 2) || digits(g, 3))
    });
    if short {
        Irregularity::MissingGroups
    } else {
        Irregularity::Groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_met_in_the_world_have_their_form() {
        use Irregularity as I;
        for (text, form) in [
            ("000.00.00.H49", Form::Form2016),
            ("001.01.07.H53", Form::Form2016),
            ("G14.27", Form::Form2020),
            ("H37.DN.001", Form::Form2020),
            ("H57", Form::Form2020),
            ("0100109106", Form::Enterprise),
            ("0100109106-001", Form::Enterprise),
            ("0100109106001", Form::Enterprise),
            ("01.02.G22", Form::Irregular(I::MissingGroups)),
            ("28.22.H17", Form::Irregular(I::MissingGroups)),
            ("79.H36", Form::Irregular(I::MissingGroups)),
            ("14.00.W00", Form::Irregular(I::MissingGroups)),
            ("000.A53.000", Form::Irregular(I::Groups)),
            ("000.1137.H53", Form::Irregular(I::Groups)),
            ("000.00.008.K99", Form::Irregular(I::Groups)),
            ("001.00.20.TT2", Form::Irregular(I::Groups)),
            ("vxp.saas.03", Form::Irregular(I::SmallLetters)),
            ("null", Form::Irregular(I::Null)),
            (" ", Form::Irregular(I::Empty)),
            ("000.00.00.H49 ", Form::Irregular(I::WhiteSpace)),
            ("H49;G22", Form::Irregular(I::ForeignCharacter(';'))),
        ] {
            let code = AgencyCode::new(text);
            assert_eq!(code.form(), form, "{text}");
            assert_eq!(code.check().is_err(), matches!(form, Form::Irregular(_)));
        }
        let long = format!("H49{}", ".001".repeat(9));
        assert_eq!(AgencyCode::new(long).form(), Form::Irregular(I::TooLong));
    }

    #[test]
    fn hints_turn_the_groups_round() {
        for (text, hint) in [
            ("000.00.00.H49", Some("H49")),
            ("000.20.31.h53", Some("H53.31.20")),
            ("001.01.07.H53", Some("H53.07.01.001")),
            ("28.22.H17", Some("H17.22.28")),
            ("H53.07", None),
            ("vxp.saas.03", None),
        ] {
            assert_eq!(AgencyCode::new(text).hint_2020().as_deref(), hint, "{text}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_stable(text in "\\PC{0,40}") {
            let once = AgencyCode::new(text).canonical();
            let twice = AgencyCode::new(once.clone()).canonical();
            prop_assert_eq!(once, twice);
        }
    }
}
