//! How a refusal is told: to people on stderr in both languages, to scripts as an object.

use api::client::RefusalView;
use exchange::refusal::Name;
use serde::Serialize;

/// The object that stands for a refusal in `--json` output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    /// The code of the first thing at fault; the refusal's name if it has no details.
    pub(crate) code: String,
    /// Element path or argument.
    pub(crate) path: String,
    /// From 1; 0 if there is none.
    pub(crate) line: u32,
    /// From 1, in characters; 0 if there is none.
    pub(crate) column: u32,
    /// Vietnamese.
    pub(crate) message: String,
    /// English.
    pub(crate) message_en: String,
    /// The refusal's name.
    pub(crate) refusal: String,
    /// When sending the same again may help.
    pub(crate) retry_after_ms: Option<u64>,
    /// Everything at fault, the first included.
    pub(crate) details: Vec<Detail>,
}

/// One thing at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Detail {
    code: String,
    path: String,
    line: u32,
    column: u32,
    message: String,
    message_en: String,
}

impl From<&RefusalView> for Refused {
    fn from(view: &RefusalView) -> Self {
        let details: Vec<Detail> = view
            .details
            .iter()
            .map(|detail| Detail {
                code: detail.code.clone(),
                path: detail.path.clone(),
                line: detail.line,
                column: detail.column,
                message: detail.message.clone(),
                message_en: detail.message_en.clone(),
            })
            .collect();
        let first = details.first();
        let either = |of: Option<&String>, other: &String| {
            of.filter(|text| !text.is_empty()).unwrap_or(other).clone()
        };
        Self {
            code: either(first.map(|detail| &detail.code), &view.name),
            path: first.map(|detail| detail.path.clone()).unwrap_or_default(),
            line: first.map_or(0, |detail| detail.line),
            column: first.map_or(0, |detail| detail.column),
            message: either(first.map(|detail| &detail.message), &view.message),
            message_en: either(first.map(|detail| &detail.message_en), &view.message_en),
            refusal: view.name.clone(),
            retry_after_ms: view
                .retry_after
                .and_then(|after| u64::try_from(after.as_millis()).ok()),
            details,
        }
    }
}

impl Refused {
    /// A file that could not be read here and never reached the axis.
    pub(crate) fn unreadable(reason: &str) -> Self {
        const NAME: &str = "CANNOT_READ";
        Self {
            code: NAME.to_owned(),
            path: String::new(),
            line: 0,
            column: 0,
            message: format!("Không đọc được tệp: {reason}"),
            message_en: format!("The file cannot be read: {reason}"),
            refusal: NAME.to_owned(),
            retry_after_ms: None,
            details: Vec::new(),
        }
    }
}

/// Several lines: the name, then everything else.
pub(crate) fn tell(view: &RefusalView) -> String {
    let mut text = format!("{}:", view.name);
    for line in lines(view) {
        text.push_str("\n    ");
        text.push_str(&line);
    }
    text
}

/// What it means and what to do, each thing at fault with its place, when to try again; in both
/// languages.
pub(crate) fn lines(view: &RefusalView) -> Vec<String> {
    let row = Name::ALL
        .iter()
        .find(|name| name.as_str() == view.name)
        .map(|name| name.row());
    let (vi, en) = row.map_or((view.message.as_str(), view.message_en.as_str()), |row| {
        (row.vi, row.en)
    });
    let mut lines = vec![vi.to_owned(), en.to_owned()];
    for detail in &view.details {
        let place = (detail.line > 0).then(|| format!("{}:{}", detail.line, detail.column));
        let code = (detail.code != view.name).then(|| detail.code.clone());
        let path = (!detail.path.is_empty()).then(|| detail.path.clone());
        let head: Vec<_> = [place, code, path].into_iter().flatten().collect();
        lines.push(format!("- {}", head.join(" ")).trim_end().to_owned());
        let told = [&detail.message, &detail.message_en]
            .into_iter()
            .filter(|told| !told.is_empty());
        lines.extend(told.map(|told| format!("  {told}")));
    }
    if view.omitted > 0 {
        lines.push(format!("… và {0} chỗ nữa (and {0} more)", view.omitted));
    }
    if let Some(after) = view.retry_after {
        let seconds = after.as_millis().div_ceil(1_000).max(1);
        lines.push(format!(
            "Gửi lại sau {seconds} giây. (Try again after {seconds} s.)"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::client::DetailView;
    use std::time::Duration;

    fn view() -> RefusalView {
        let mut detail = DetailView::default();
        detail.code = "NO_TO".to_owned();
        detail.path = "edXML/To".to_owned();
        (detail.line, detail.column) = (3, 5);
        detail.message = "Thiếu To".to_owned();
        detail.message_en = "No To".to_owned();
        let mut view = RefusalView::default();
        view.name = "BAD_PACKAGE".to_owned();
        view.message = "m".to_owned();
        view.message_en = "e".to_owned();
        view.details = vec![detail];
        view.retry_after = Some(Duration::from_millis(1_200));
        view
    }

    #[test]
    fn people_are_told_what_where_and_what_to_do_in_both_languages() {
        let row = Name::BadPackage.row();
        let expected = format!(
            "BAD_PACKAGE:\n    {}\n    {}\n    - 3:5 NO_TO edXML/To\n      Thiếu To\n      No To\n    \
             Gửi lại sau 2 giây. (Try again after 2 s.)",
            row.vi, row.en
        );
        assert_eq!(tell(&view()), expected);
    }

    #[test]
    fn scripts_get_the_first_thing_at_fault_or_the_refusal_itself() {
        let refused = Refused::from(&view());
        assert_eq!(
            (refused.code.as_str(), refused.refusal.as_str()),
            ("NO_TO", "BAD_PACKAGE")
        );
        assert_eq!(
            (refused.line, refused.column, refused.message.as_str()),
            (3, 5, "Thiếu To")
        );
        assert_eq!(refused.retry_after_ms, Some(1_200));
        let mut bare = view();
        bare.details.clear();
        let bare = Refused::from(&bare);
        assert_eq!(
            (bare.code.as_str(), bare.message.as_str()),
            ("BAD_PACKAGE", "m")
        );
    }
}
