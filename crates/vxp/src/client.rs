//! The client half: it asks as the SDK does, and trusts nothing that comes back.
//!
//! Answers are bounded, lists are read row by row, what is not JSON is an error and never
//! "nothing". Headers are made fresh for each call and hold that call's parameters only. A send
//! whose answer did not come is told apart from one that never left ([`CallError::NoAnswer`]):
//! sending it again may make a second copy.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use axum::http::Method;
use axum::http::header::HeaderMap;
use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::answer::{
    Agency2020Row, AgencyRow, Counted, Envelope, Got, Received, Registration, Sent, SentCopy,
    UnitRow,
};
use crate::hash::{self, HashForm};
use crate::list::{ListFault, ListReader};
use crate::operation::{MessageType, Operation, Progress};
use crate::package;
use crate::signature::Parameters;
use crate::timestamp::Timestamp;

/// Longest answer that is no list and no package, in bytes.
const SMALL: u64 = 64 << 10;

/// Whom to ask, as whom, and how.
#[derive(Clone)]
pub struct Options {
    /// The address before `/` and the operation's name.
    pub endpoint: String,
    /// `systemid`.
    pub system: String,
    /// The secret.
    pub secret: Zeroizing<String>,
    /// How `hash-file` is written. Default: as the SDK does.
    pub hash: HashForm,
    /// Whether a CR LF goes behind a package, as the SDK does. Default: yes.
    pub cr_lf: bool,
    /// Longest wait for the head of an answer, and for its next bytes. Default 60 s.
    pub patience: Duration,
    /// The largest package that is taken, in bytes. Default 100 MiB.
    pub max_package: u64,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(
        endpoint: impl Into<String>,
        system: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            system: system.into(),
            secret: Zeroizing::new(secret.into()),
            hash: HashForm::default(),
            cr_lf: true,
            patience: Duration::from_secs(60),
            max_package: 100 << 20,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint)
            .field("system", &self.system)
            .finish_non_exhaustive()
    }
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// A parameter cannot be a header's value.
    #[error("a parameter cannot be sent as a header")]
    Parameter(#[from] axum::http::header::InvalidHeaderValue),
    /// No connection: nothing was sent.
    #[error("no connection to the other axis")]
    NotSent(#[source] reqwest::Error),
    /// It was sent, or a part of it, and no whole answer came: what became of it is not known.
    #[error("no answer came")]
    NoAnswer(#[source] reqwest::Error),
    /// No answer in time: what became of it is not known.
    #[error("no answer came in {0:?}")]
    TooLate(Duration),
    /// The answer has an HTTP status that is no success.
    #[error("the other axis answered with the HTTP status {0}")]
    Http(u16),
    /// The answer is no such answer.
    #[error("the answer cannot be understood")]
    NotUnderstood(#[from] ListFault),
    /// The answer, or the package in it, is larger than is taken.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The answer holds no package.
    #[error("the answer holds no package")]
    NoPackage,
    /// Success without `DocId`: taken for a failure whose outcome is not known.
    #[error("the other axis said OK and gave no DocId")]
    NoDocId,
    /// The other axis refused.
    #[error("the other axis refused: {number} {text}")]
    Refused {
        /// `ErrorCode`.
        number: String,
        /// `ErrorDesc`.
        text: String,
    },
}

impl CallError {
    /// Whether the other axis may have acted on the call all the same.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::NoAnswer(_)
                | Self::TooLate(_)
                | Self::Http(_)
                | Self::NotUnderstood(_)
                | Self::TooLarge(_)
                | Self::NoDocId
        )
    }
}

/// A client of one system. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    options: Options,
}

impl Client {
    /// A client over an HTTP client of the caller's, which says what TLS trusts.
    #[must_use]
    pub const fn new(http: reqwest::Client, options: Options) -> Self {
        Self { http, options }
    }

    /// Sends a package; gives its `DocId`.
    ///
    /// # Errors
    /// [`CallError`]; see [`CallError::is_unknown`] before sending again.
    pub async fn send_edoc(
        &self,
        from: &str,
        message_type: MessageType,
        to: &[&str],
        package: &Bytes,
    ) -> Result<String, CallError> {
        let mut parameters = Parameters::new();
        service(&mut parameters, message_type);
        if !to.is_empty() {
            parameters.set("to", serde_json::Value::from(to).to_string());
        }
        let sha256: [u8; 32] = Sha256::digest(package).into();
        parameters.set("hash-file", hash::write(&sha256, self.options.hash));
        parameters.set("from", from);
        let body = if self.options.cr_lf {
            let mut body = BytesMut::with_capacity(package.len() + 2);
            body.extend_from_slice(package);
            body.extend_from_slice(b"\r\n");
            body.freeze()
        } else {
            package.clone()
        };
        let response = self.call(Operation::SendEdoc, parameters, body).await?;
        let sent: Sent = self.read(response, SMALL).await?;
        fine(&sent.envelope)?;
        match sent.doc_id.trim() {
            "" => Err(CallError::NoDocId),
            id => Ok(id.to_owned()),
        }
    }

    /// What waits for the system's agencies.
    ///
    /// # Errors
    /// [`CallError`], here or while the rows are read.
    pub async fn received(
        &self,
        message_type: MessageType,
        dates: Option<(&str, &str)>,
    ) -> Result<RowStream<Received>, CallError> {
        let mut parameters = Parameters::new();
        service(&mut parameters, message_type);
        window(&mut parameters, dates);
        self.list(Operation::GetReceivedEdocList, parameters).await
    }

    /// How far each receiver's copy of a sent package is.
    ///
    /// # Errors
    /// [`CallError`], here or while the rows are read.
    pub async fn sent(
        &self,
        message_type: MessageType,
        doc_id: Option<&str>,
        dates: Option<(&str, &str)>,
    ) -> Result<RowStream<SentCopy>, CallError> {
        let mut parameters = Parameters::new();
        service(&mut parameters, message_type);
        if let Some(doc_id) = doc_id {
            parameters.set("docId", doc_id);
        }
        window(&mut parameters, dates);
        self.list(Operation::GetSentEdocList, parameters).await
    }

    /// How many packages wait.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn count(&self, message_type: MessageType) -> Result<u64, CallError> {
        let mut parameters = Parameters::new();
        service(&mut parameters, message_type);
        let operation = match message_type {
            MessageType::Edoc => Operation::CountReceiveEdoc,
            MessageType::Status => Operation::CountReceiveStatus,
        };
        let response = self.call(operation, parameters, EMPTY).await?;
        let counted: Counted = self.read(response, SMALL).await?;
        fine(&counted.envelope)?;
        Ok(counted.count)
    }

    /// A package, out of JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_edoc(&self, doc_id: &str) -> Result<Bytes, CallError> {
        let mut parameters = Parameters::new();
        parameters.set("docId", doc_id);
        let response = self.call(Operation::GetEdoc, parameters, EMPTY).await?;
        // Base64 and the text around it; lines of 76 digits and escaped slashes, at most.
        let limit = self.options.max_package.saturating_mul(2) + SMALL;
        let got: Got = self.read(response, limit).await?;
        fine(&got.envelope)?;
        let bytes = package::decode(&got.data).map_err(|_| CallError::NoPackage)?;
        match bytes.len() as u64 {
            0 => Err(CallError::NoPackage),
            len if len > self.options.max_package => {
                Err(CallError::TooLarge(self.options.max_package))
            }
            _ => Ok(bytes.into()),
        }
    }

    /// A package as it is, chunk by chunk.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::NoPackage`] if what comes does not begin as XML does: an
    /// error text is not saved as a package.
    pub async fn download_edoc(&self, doc_id: &str) -> Result<Download, CallError> {
        let mut parameters = Parameters::new();
        parameters.set("docId", doc_id);
        let response = self
            .call(Operation::DownloadEdoc, parameters, EMPTY)
            .await?;
        let mut download = Download {
            response,
            first: None,
            read: 0,
            limit: self.options.max_package,
            patience: self.options.patience,
        };
        let first = download.chunk().await?.ok_or(CallError::NoPackage)?;
        let start = first.trim_ascii_start();
        let marks: [&[u8]; 4] = [b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        if !marks.iter().any(|mark| start.starts_with(mark)) {
            return Err(CallError::NoPackage);
        }
        download.first = Some(first);
        Ok(download)
    }

    /// Settles a copy, or says that it is being worked on.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn update_status(
        &self,
        doc_id: &str,
        progress: Progress,
        description: &str,
    ) -> Result<(), CallError> {
        let mut parameters = Parameters::new();
        parameters.set("docId", doc_id);
        parameters.set("status", progress.word());
        if !description.is_empty() {
            parameters.set("description", crate::fault::ascii(description));
        }
        self.order(Operation::UpdateStatus, parameters, EMPTY).await
    }

    /// All agencies.
    ///
    /// # Errors
    /// [`CallError`], here or while the rows are read.
    pub async fn agencies(&self) -> Result<RowStream<AgencyRow>, CallError> {
        self.list(Operation::GetAgenciesList, Parameters::new())
            .await
    }

    /// All agencies with a code of Decision 20/2020.
    ///
    /// # Errors
    /// [`CallError`], here or while the rows are read.
    pub async fn agencies_2020(&self, level: &str) -> Result<RowStream<Agency2020Row>, CallError> {
        let mut parameters = Parameters::new();
        parameters.set("level", level);
        self.list(Operation::GetAgenciesListQd20, parameters).await
    }

    /// All agencies, with what a mirror needs.
    ///
    /// # Errors
    /// [`CallError`], here or while the rows are read.
    pub async fn units(&self) -> Result<RowStream<UnitRow>, CallError> {
        self.list(Operation::GetSynchronizeUnit, Parameters::new())
            .await
    }

    /// Asks that an agency be added or changed.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn register_agency(&self, agency: &Registration) -> Result<(), CallError> {
        // Plain texts: writing them does not fail.
        let body = serde_json::to_vec(agency).unwrap_or_default();
        self.order(Operation::RegisterAgency, Parameters::new(), body.into())
            .await
    }

    /// Asks that an agency be closed.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn delete_agency(&self, code: &str) -> Result<(), CallError> {
        let mut parameters = Parameters::new();
        parameters.set("AgencyCode", code);
        self.order(Operation::DeleteAgency, parameters, EMPTY).await
    }

    /// The headers of a call.
    fn headers(
        &self,
        operation: Operation,
        parameters: Parameters,
        now: Timestamp,
    ) -> Result<HeaderMap, CallError> {
        let mut signed = Parameters::new();
        signed.set("systemid", self.options.system.as_str());
        for (name, value) in parameters.iter() {
            signed.set(name, value);
        }
        signed.set("timestamp", now.to_string());
        let kind = if operation == Operation::SendEdoc {
            "application/octet-stream"
        } else {
            "application/json"
        };
        signed.set("Content-Type", kind);
        Ok(signed.sign(self.options.secret.as_bytes())?)
    }

    async fn call(
        &self,
        operation: Operation,
        parameters: Parameters,
        body: Bytes,
    ) -> Result<reqwest::Response, CallError> {
        let now = Timestamp::of_ms(jiff::Timestamp::now().as_millisecond());
        let headers = self.headers(operation, parameters, now)?;
        let endpoint = self.options.endpoint.trim_end_matches('/');
        let url = format!("{endpoint}/{}", operation.name());
        let (method, body) = match operation {
            Operation::DownloadEdoc => (Method::GET, Bytes::new()),
            _ => (Method::POST, body),
        };
        let request = self.http.request(method, url).headers(headers).body(body);
        let sent = in_time(self.options.patience, request.send()).await?;
        let response = sent.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                CallError::NotSent(error)
            } else {
                CallError::NoAnswer(error)
            }
        })?;
        match response.status().as_u16() {
            200 | 201 => Ok(response),
            status => Err(CallError::Http(status)),
        }
    }

    async fn order(
        &self,
        operation: Operation,
        parameters: Parameters,
        body: Bytes,
    ) -> Result<(), CallError> {
        let response = self.call(operation, parameters, body).await?;
        let envelope: Envelope = self.read(response, SMALL).await?;
        fine(&envelope)
    }

    async fn list<R: DeserializeOwned>(
        &self,
        operation: Operation,
        parameters: Parameters,
    ) -> Result<RowStream<R>, CallError> {
        let response = self.call(operation, parameters, Bytes::new()).await?;
        Ok(RowStream {
            response,
            patience: self.options.patience,
            reader: Some(ListReader::default()),
            ready: VecDeque::new(),
        })
    }

    /// Reads a whole JSON answer of bounded length.
    async fn read<T: DeserializeOwned>(
        &self,
        mut response: reqwest::Response,
        limit: u64,
    ) -> Result<T, CallError> {
        let mut text = BytesMut::new();
        while let Some(chunk) = in_time(self.options.patience, response.chunk())
            .await?
            .map_err(CallError::NoAnswer)?
        {
            if (text.len() + chunk.len()) as u64 > limit {
                return Err(CallError::TooLarge(limit));
            }
            text.extend_from_slice(&chunk);
        }
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(ListFault::Empty.into());
        }
        if text.first() != Some(&b'{') {
            let start = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            return Err(ListFault::NotJson(start).into());
        }
        Ok(serde_json::from_slice(text).map_err(ListFault::Beside)?)
    }
}

const EMPTY: Bytes = Bytes::from_static(b"{}");

fn service(parameters: &mut Parameters, message_type: MessageType) {
    parameters.set("servicetype", "eDoc");
    parameters.set("messagetype", message_type.word());
}

fn window(parameters: &mut Parameters, dates: Option<(&str, &str)>) {
    if let Some((from, to)) = dates {
        parameters.set("fromDate", from);
        parameters.set("toDate", to);
    }
}

fn fine(envelope: &Envelope) -> Result<(), CallError> {
    if envelope.is_ok() {
        return Ok(());
    }
    Err(CallError::Refused {
        number: envelope.error_code.clone(),
        text: envelope.error_desc.clone(),
    })
}

async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<Result<T, reqwest::Error>, CallError> {
    tokio::time::timeout(patience, work)
        .await
        .map_err(|_| CallError::TooLate(patience))
}

/// Rows of a list, as they come.
#[derive(Debug)]
pub struct RowStream<R> {
    response: reqwest::Response,
    patience: Duration,
    reader: Option<ListReader<R>>,
    ready: VecDeque<R>,
}

impl<R: DeserializeOwned> RowStream<R> {
    /// The next row; `None` when the list was whole and said `OK`. Rows before an error are
    /// rows all the same.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn next(&mut self) -> Result<Option<R>, CallError> {
        loop {
            if let Some(row) = self.ready.pop_front() {
                return Ok(Some(row));
            }
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            let chunk = in_time(self.patience, self.response.chunk()).await?;
            let ready = &mut self.ready;
            match chunk.map_err(CallError::NoAnswer)? {
                Some(chunk) => reader.push(&chunk, |row| ready.push_back(row))?,
                None => {
                    let envelope = self.reader.take().map(ListReader::end).transpose()?;
                    if let Some(envelope) = envelope {
                        fine(&envelope)?;
                    }
                }
            }
        }
    }
}

/// A package, as it comes.
#[derive(Debug)]
pub struct Download {
    response: reqwest::Response,
    first: Option<Bytes>,
    read: u64,
    limit: u64,
    patience: Duration,
}

impl Download {
    /// The next bytes; `None` behind the last. Nothing tells here whether the package is whole:
    /// it must be read as XML to its end.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.chunk().await,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let chunk = in_time(self.patience, self.response.chunk())
                .await?
                .map_err(CallError::NoAnswer)?;
            let Some(chunk) = chunk else {
                return Ok(None);
            };
            self.read += chunk.len() as u64;
            if self.read > self.limit {
                return Err(CallError::TooLarge(self.limit));
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }
}
