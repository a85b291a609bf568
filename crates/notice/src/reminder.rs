//! The letter to an agency for which something waits (duty EX-12).

use exchange::{Alert, AlertKind, Party};
use lettre::Address;

/// A letter to an agency's contact.
#[derive(Debug)]
pub(crate) struct Reminder {
    pub(crate) to: Address,
    axis: String,
    agency: Party,
    detail: exchange::Words<String>,
}

impl Reminder {
    /// For an alert about an agency that does not fetch, if its contact names an address.
    pub(crate) fn of(axis: &str, alert: &Alert, agency: Party, contact: &str) -> Option<Self> {
        let is_late = alert.kind == AlertKind::Unfetched.name() && alert.cleared_at.is_none();
        Some(Self {
            to: is_late.then(|| address(contact)).flatten()?,
            axis: axis.to_owned(),
            agency,
            detail: alert.detail.clone(),
        })
    }

    pub(crate) fn subject(&self) -> String {
        let (axis, code) = (&self.axis, &self.agency.main_code);
        format!("[{axis}] Văn bản chờ cơ quan {code} lấy về")
    }

    pub(crate) fn body(&self) -> String {
        let Self {
            axis,
            agency,
            detail,
            ..
        } = self;
        format!(
            "Kính gửi {name} ({code}),\n\n{vi}\nĐề nghị mở phần mềm quản lý văn bản và lấy về; nếu phần mềm không lấy được, \
             liên hệ quản trị trục.\n\n--\n\nTo {name} ({code}):\n{en}\nPlease fetch what waits; if your software cannot, \
             call the operator of the axis.\n\n{axis}\n",
            name = agency.name,
            code = agency.main_code,
            vi = detail.vi,
            en = detail.en,
        )
    }
}

/// The first mail address in a contact, which is written for people: names, numbers, addresses.
fn address(contact: &str) -> Option<Address> {
    contact
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '(' | ')'))
        .filter(|word| word.contains('@'))
        .find_map(|word| word.trim_matches(['.', ':']).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_among_what_people_write() {
        let found = |contact: &str| address(contact).map(|address| address.to_string());
        let expected = Some("vanthu@stc.example".to_owned());
        for contact in [
            "vanthu@stc.example",
            "Chị Lan <vanthu@stc.example>, 0235 123 456",
            "ĐT 0235 123 456; vanthu@stc.example.",
        ] {
            assert_eq!(found(contact), expected, "{contact}");
        }
        assert_eq!(found("0235 123 456"), None);
        assert_eq!(found("@ a@ @b"), None);
    }
}
