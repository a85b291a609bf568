//! How a refusal is told: to people on stderr in both languages, to scripts as an object.

use api::client::RefusalView;
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

/// Several lines: the name with both texts, then each thing at fault with its place.
pub(crate) fn tell(view: &RefusalView) -> String {
    let mut text = format!("{}: {}\n    {}", view.name, view.message, view.message_en);
    for detail in &view.details {
        text += "\n  - ";
        if detail.line > 0 {
            text += &format!("{}:{} ", detail.line, detail.column);
        }
        if detail.code != view.name {
            text += &format!("{} ", detail.code);
        }
        if !detail.path.is_empty() {
            text += &detail.path;
        }
        text.truncate(text.trim_end().len());
        for message in [&detail.message, &detail.message_en] {
            if !message.is_empty() {
                text += &format!("\n      {message}");
            }
        }
    }
    if view.omitted > 0 {
        text += &format!("\n  … {} more", view.omitted);
    }
    if let Some(after) = view.retry_after {
        text += &format!(
            "\n    Gửi lại sau {seconds} giây. / Try again after {seconds} s.",
            seconds = after.as_secs().max(1)
        );
    }
    text
}
