//! Answers and the rows of lists. Written strictly; read leniently: numbers may come as texts
//! and texts as numbers, what is absent or null is empty, what is not known is skipped.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// `status` of an answer that brings what was asked for.
pub const OK: &str = "OK";
/// `status` of one that does not.
pub const FAIL: &str = "FAIL";
/// `ErrorDesc` of success.
pub const DONE: &str = "Thanh cong";

/// What every JSON answer begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// `OK` or `FAIL`.
    #[serde(deserialize_with = "text")]
    pub status: String,
    /// A number as text; `0` is success.
    #[serde(rename = "ErrorCode", deserialize_with = "text")]
    pub error_code: String,
    /// For people.
    #[serde(rename = "ErrorDesc", deserialize_with = "text")]
    pub error_desc: String,
}

impl Envelope {
    /// Success.
    #[must_use]
    pub fn ok() -> Self {
        Self {
            status: OK.to_owned(),
            error_code: "0".to_owned(),
            error_desc: DONE.to_owned(),
        }
    }

    /// A refusal.
    #[must_use]
    pub fn fail(fault: &Fault) -> Self {
        Self {
            status: FAIL.to_owned(),
            error_code: fault.number.to_string(),
            error_desc: fault.text.clone(),
        }
    }

    /// Whether it is success: `OK` and no other number than 0.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status.trim().eq_ignore_ascii_case(OK) && matches!(self.error_code.trim(), "0" | "")
    }
}

/// The answer to `sendEdoc`. `DocId` is always there: without it the SDK returns nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sent {
    /// Success or not.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// The axis's id of the package: 24 hex digits; empty on failure.
    #[serde(rename = "DocId", deserialize_with = "text")]
    pub doc_id: String,
}

/// The answer to `countReceiveEdoc` and `countReceiveStatus`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// Success or not.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// How many wait.
    #[serde(deserialize_with = "number")]
    pub count: u64,
}

/// The answer to `getEdoc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Got {
    /// Success or not.
    #[serde(flatten)]
    pub envelope: Envelope,
    /// The package in base64; absent on failure.
    #[serde(deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub data: String,
}

/// A row of `getReceivedEdocList`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // as the protocol names them
pub struct Received {
    /// The receiver's copy: a UUID.
    #[serde(rename = "docId", deserialize_with = "text")]
    pub doc_id: String,
    #[serde(rename = "serviceType", deserialize_with = "text")]
    pub service_type: String,
    #[serde(rename = "messageType", deserialize_with = "text")]
    pub message_type: String,
    #[serde(deserialize_with = "text")]
    pub created_time: String,
    #[serde(deserialize_with = "text")]
    pub updated_time: String,
    #[serde(deserialize_with = "text")]
    pub from: String,
    #[serde(deserialize_with = "text")]
    pub to: String,
    #[serde(deserialize_with = "text")]
    pub status: String,
    #[serde(deserialize_with = "text")]
    pub status_desc: String,
}

/// A row of `getSentEdocList`: one receiver of a sent package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)] // as the protocol names them
pub struct SentCopy {
    #[serde(deserialize_with = "text")]
    pub service_type: String,
    #[serde(deserialize_with = "text")]
    pub message_type: String,
    /// The `DocId` of `sendEdoc`.
    #[serde(deserialize_with = "text")]
    pub sender_doc_id: String,
    /// The `docId` of the receiver's list.
    #[serde(deserialize_with = "text")]
    pub receiver_doc_id: String,
    #[serde(deserialize_with = "text")]
    pub from_code: String,
    #[serde(deserialize_with = "text")]
    pub to_code: String,
    #[serde(deserialize_with = "text")]
    pub title: String,
    #[serde(deserialize_with = "text")]
    pub notation: String,
    #[serde(deserialize_with = "text")]
    pub sent_time: String,
    #[serde(deserialize_with = "text")]
    pub received_time: String,
    #[serde(deserialize_with = "text")]
    pub send_status: String,
    #[serde(deserialize_with = "text")]
    pub send_status_desc: String,
    #[serde(deserialize_with = "text")]
    pub receive_status: String,
    #[serde(deserialize_with = "text")]
    pub receive_status_desc: String,
}

/// A row of `getAgenciesList`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // as the protocol names them
pub struct AgencyRow {
    #[serde(deserialize_with = "text")]
    pub id: String,
    #[serde(deserialize_with = "text")]
    pub pid: String,
    #[serde(deserialize_with = "text")]
    pub code: String,
    #[serde(deserialize_with = "text")]
    pub name: String,
    #[serde(deserialize_with = "text")]
    pub mail: String,
    #[serde(rename = "oldCode", deserialize_with = "text")]
    pub old_code: String,
}

/// A row of `getAgenciesListQD20`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // as the protocol names them
pub struct Agency2020Row {
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// The code of Decision 20/2020.
    #[serde(deserialize_with = "text")]
    pub code: String,
    #[serde(deserialize_with = "text")]
    pub name: String,
    #[serde(deserialize_with = "text")]
    pub mail: String,
    /// The code of QCVN 102:2016.
    #[serde(deserialize_with = "text")]
    pub code102: String,
}

/// A row of `getSynchronizeUnit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs)] // as the protocol names them
pub struct UnitRow {
    #[serde(deserialize_with = "text")]
    pub id: String,
    #[serde(deserialize_with = "text")]
    pub pid: String,
    #[serde(deserialize_with = "text")]
    pub code: String,
    #[serde(deserialize_with = "text")]
    pub name: String,
    #[serde(deserialize_with = "text")]
    pub mail: String,
    #[serde(deserialize_with = "number")]
    pub version: u64,
    #[serde(deserialize_with = "text")]
    pub center_code: String,
    #[serde(deserialize_with = "truth")]
    pub deleted: bool,
    #[serde(deserialize_with = "text")]
    pub modify_date: String,
    #[serde(deserialize_with = "truth")]
    pub is_agency: bool,
}

/// The body of `registerAgency`: an agency to be added, or to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // as the protocol names them
pub struct Registration {
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// The code of the agency above it.
    #[serde(deserialize_with = "text")]
    pub pcode: String,
    #[serde(deserialize_with = "text")]
    pub code: String,
    #[serde(deserialize_with = "text")]
    pub name: String,
    #[serde(deserialize_with = "text")]
    pub mail: String,
    #[serde(deserialize_with = "text")]
    pub mobile: String,
    #[serde(deserialize_with = "text")]
    pub fax: String,
}

/// A text, or what can be read as one.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_any(Scalar).map(|value| value.0)
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = text(deserializer)?;
    match text.trim() {
        "" => Ok(0),
        digits => digits
            .parse()
            .map_err(|_| serde::de::Error::custom("a number was expected")),
    }
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = text(deserializer)?;
    Ok(matches!(text.trim(), "true" | "TRUE" | "True" | "1"))
}

struct Scalar;
struct ScalarText(String);

impl<'de> Visitor<'de> for Scalar {
    type Value = ScalarText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false or null")
    }

    fn visit_str<E>(self, text: &str) -> Result<ScalarText, E> {
        Ok(ScalarText(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<ScalarText, E> {
        Ok(ScalarText(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<ScalarText, E> {
        Ok(ScalarText(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<ScalarText, E> {
        Ok(ScalarText(String::new()))
    }

    fn visit_none<E>(self) -> Result<ScalarText, E> {
        Ok(ScalarText(String::new()))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ScalarText, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f2_an_answer_to_send_edoc_never_lacks_its_doc_id() {
        let fault = Fault::argument("file khong hop le");
        let sent = Sent {
            envelope: Envelope::fail(&fault),
            doc_id: String::new(),
        };
        assert_eq!(
            serde_json::to_string(&sent).unwrap(),
            r#"{"status":"FAIL","ErrorCode":"10","ErrorDesc":"file khong hop le","DocId":""}"#
        );
    }

    #[test]
    fn what_others_write_is_read_leniently() {
        let sent: Sent =
            serde_json::from_str(r#"{"status":"OK","ErrorCode":0,"DocId":null}"#).unwrap();
        assert!(sent.envelope.is_ok() && sent.doc_id.is_empty());
        let counted: Counted =
            serde_json::from_str(r#"{"status":"OK","ErrorCode":"0","count":"12"}"#).unwrap();
        assert_eq!(counted.count, 12);
        let unit: UnitRow =
            serde_json::from_str(r#"{"id":7,"version":"3","deleted":1,"isAgency":"true","x":[1]}"#)
                .unwrap();
        assert_eq!((unit.id.as_str(), unit.version), ("7", 3));
        assert!(unit.deleted && unit.is_agency);
        assert!(!Envelope::default().is_ok());
        assert!(serde_json::from_str::<Counted>(r#"{"count":{"a":1}}"#).is_err());
    }
}
