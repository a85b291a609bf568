//! The server half: from a request to its answer. What stands behind it is a [`Hub`]: the axis's
//! own endpoint, and the simulated national axis that the bridge is tested with.
//!
//! What holds for every hub:
//!
//! * Nothing is done for a request whose signature the hub has not accepted; parameters are the
//!   signed ones, and those that an operation does not need are left alone.
//! * Every answer is JSON with HTTP status 200, also a refusal, as the SDK expects; the one to
//!   `sendEdoc` is US-ASCII and always has its `DocId`. Only `downloadEdoc`, whose client saves
//!   any body it gets as a package, is refused by an HTTP status and an empty body.
//! * Packages and lists stream; memory does not grow with them.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use serde::Serialize;

use crate::answer::{
    Agency2020Row, AgencyRow, Counted, Envelope, Received, Registration, Sent, SentCopy, UnitRow,
};
use crate::date::Window;
use crate::fault::{Fault, ascii, number};
use crate::list::ListWriter;
use crate::operation::{MessageType, Operation, Progress};
use crate::package::{Base64Text, BodyFault, PackageBody};
use crate::signature::{Claim, Parameters};

/// Bodies that are not packages: `{}`, an empty form, one agency.
const SMALL: usize = 64 << 10;
/// List bytes that go out together.
const LIST_CHUNK: usize = 16 << 10;
/// Read and thrown away of a package whose sender is refused, so that a client that writes the
/// whole body first still gets to the answer.
const IN_VAIN: u64 = 64 << 20;

/// Rows of a list, as they are made.
pub type Rows<R> = Pin<Box<dyn Stream<Item = Result<R, Fault>> + Send>>;

/// A package on its way out.
pub struct Content {
    /// How many bytes it has.
    pub size: u64,
    /// They. An error ends the connection: half a package must not look like a whole one.
    pub chunks: Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send>>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("size", &self.size).finish()
    }
}

/// What `sendEdoc` says beside the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// The sender's code.
    pub from: String,
    /// Document or status, as the sender says; the package itself decides.
    pub message_type: Option<MessageType>,
}

/// What a list or a count is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Documents or statuses.
    pub message_type: MessageType,
    /// The window asked for. The SDK sends that of an earlier call again.
    pub window: Window,
}

/// What answers. Each method gets the signed parameters it needs, read.
pub trait Hub: Send + Sync + 'static {
    /// Who calls, as [`Hub::admit`] has found.
    type Caller: Send + Sync;

    /// Says who calls: it must ask [`Claim::is_signed_with`].
    fn admit(
        &self,
        claim: &Claim,
        operation: Operation,
        from: IpAddr,
    ) -> Result<Self::Caller, Fault>;

    /// Takes a package; gives its `DocId` once it is durable. It is one only if
    /// [`Incoming::next`] has come to its end.
    fn send(
        &self,
        caller: &Self::Caller,
        asked: Sending,
        package: &mut Incoming,
    ) -> impl Future<Output = Result<String, Fault>> + Send;

    /// What waits for the caller's agencies, oldest first; leases nothing, changes nothing.
    fn received(
        &self,
        caller: &Self::Caller,
        asked: Listing,
    ) -> impl Future<Output = Result<Rows<Received>, Fault>> + Send;

    /// How many such rows there are.
    fn count(
        &self,
        caller: &Self::Caller,
        asked: Listing,
    ) -> impl Future<Output = Result<u64, Fault>> + Send;

    /// A receiver's copy.
    fn content(
        &self,
        caller: &Self::Caller,
        doc_id: &str,
    ) -> impl Future<Output = Result<Content, Fault>> + Send;

    /// Settles a receiver's copy, or notes that the receiver is at it.
    fn update(
        &self,
        caller: &Self::Caller,
        doc_id: &str,
        progress: Progress,
        description: &str,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Each receiver's copy of one sent package, or of those of the window if none is named.
    fn sent(
        &self,
        caller: &Self::Caller,
        doc_id: Option<&str>,
        window: Window,
    ) -> impl Future<Output = Result<Rows<SentCopy>, Fault>> + Send;

    /// All agencies.
    fn agencies(&self, caller: &Self::Caller) -> Result<Rows<AgencyRow>, Fault>;

    /// All agencies with a code of Decision 20/2020. What `level` means is not public.
    fn agencies_2020(
        &self,
        caller: &Self::Caller,
        level: Option<&str>,
    ) -> Result<Rows<Agency2020Row>, Fault>;

    /// All agencies, with what a mirror needs.
    fn units(&self, caller: &Self::Caller) -> Result<Rows<UnitRow>, Fault>;

    /// Files a request to add or change an agency.
    fn register(
        &self,
        caller: &Self::Caller,
        agency: Registration,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Files a request to close an agency.
    fn delete(
        &self,
        caller: &Self::Caller,
        code: &str,
    ) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// A package on its way in: the body, decoded and hashed as it comes.
#[derive(Debug)]
pub struct Incoming {
    body: BodyDataStream,
    package: Option<PackageBody>,
    ready: std::collections::VecDeque<Bytes>,
    silence: Duration,
    read: u64,
    over: bool,
}

impl Incoming {
    fn new(body: Body, announced: &str, silence: Duration) -> Self {
        Self {
            body: body.into_data_stream(),
            package: Some(PackageBody::new(announced)),
            ready: std::collections::VecDeque::new(),
            silence,
            read: 0,
            over: false,
        }
    }

    /// The next bytes of the package; `None` when it was whole and its hash was right.
    ///
    /// # Errors
    /// INCOMPLETE if the body was cut off, BAD_PACKAGE if it is not what was announced.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            let chunk = self.chunk().await?;
            let ready = &mut self.ready;
            match (chunk, &mut self.package) {
                (_, None) => return Ok(None),
                (Some(chunk), Some(package)) => package
                    .push(&chunk, |bytes| ready.push_back(bytes))
                    .map_err(|fault| bad_body(&fault))?,
                (None, package) => {
                    if let Some(package) = package.take() {
                        package
                            .end(|bytes| ready.push_back(bytes))
                            .map_err(|fault| bad_body(&fault))?;
                    }
                }
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.over {
            return Ok(None);
        }
        let cut_off = || {
            let text = "Gói tin bị ngắt giữa chừng; không có gì được lưu. Gửi lại cả gói tin.";
            Fault::new(number::INVALID, "INCOMPLETE", 400, text)
        };
        match tokio::time::timeout(self.silence, self.body.next()).await {
            Ok(Some(Ok(chunk))) => {
                self.read += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(None) => {
                self.over = true;
                Ok(None)
            }
            Ok(Some(Err(_))) | Err(_) => {
                self.over = true;
                Err(cut_off())
            }
        }
    }

    /// Reads what is left and throws it away, within bounds.
    async fn drain(&mut self) {
        while self.read < IN_VAIN && matches!(self.chunk().await, Ok(Some(_))) {}
    }
}

fn bad_body(fault: &BodyFault) -> Fault {
    let text = match fault {
        BodyFault::WrongHash => {
            "SHA-256 của gói tin khác với hash-file đã ký. Gửi lại cả gói tin (the SHA-256 is not hash-file)."
        }
        BodyFault::NotBase64 => {
            "Thân yêu cầu không phải XML và không giải được base64 (neither XML nor base64)."
        }
    };
    Fault::new(number::INVALID, "BAD_PACKAGE", 422, text)
}

/// Answers one request. `silence` is the longest wait for the next bytes of a package.
pub async fn answer<H: Hub>(
    hub: &H,
    from: IpAddr,
    request: Request<Body>,
    silence: Duration,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Some(operation) = Operation::of_path(parts.uri.path()) else {
        let text = format!(
            "Không có thao tác {:?} (no such operation).",
            parts.uri.path()
        );
        let fault = Fault::new(number::INVALID, "BAD_ARGUMENT", 404, text);
        return with_status(json(&Envelope::fail(&fault)), fault.http);
    };
    if !operation.takes(&parts.method) {
        let text = format!(
            "{} không dùng {} (wrong method).",
            operation.name(),
            parts.method
        );
        let fault = Fault::new(number::INVALID, "BAD_ARGUMENT", 405, text);
        return with_status(json(&Envelope::fail(&fault)), fault.http);
    }
    let mut body = Incoming::new(body, "", silence);
    let admitted = Claim::read(&parts.headers)
        .map_err(|fault| {
            let text = format!("Chữ ký của yêu cầu không hợp lệ: {fault}.");
            Fault::unauthenticated(text)
        })
        .and_then(|claim| {
            let caller = hub.admit(&claim, operation, from)?;
            Ok((caller, claim))
        });
    let answered = match &admitted {
        Ok((caller, claim)) => perform(hub, operation, caller, claim.parameters(), &mut body).await,
        Err(fault) => Err(fault.clone()),
    };
    match answered {
        Ok(response) => response,
        Err(fault) => {
            body.drain().await;
            refused(operation, &fault)
        }
    }
}

async fn perform<H: Hub>(
    hub: &H,
    operation: Operation,
    caller: &H::Caller,
    parameters: &Parameters,
    body: &mut Incoming,
) -> Result<Response<Body>, Fault> {
    let window = Window::read(parameters.get("fromDate"), parameters.get("toDate"));
    let listing = |message_type| Listing {
        message_type,
        window,
    };
    if operation == Operation::SendEdoc {
        body.package = Some(PackageBody::new(needed(parameters, "hash-file")?));
        let asked = Sending {
            from: needed(parameters, "from")?.to_owned(),
            message_type: parameters.get("messagetype").and_then(MessageType::of_word),
        };
        let doc_id = hub.send(caller, asked, body).await?;
        return Ok(json(&Sent {
            envelope: Envelope::ok(),
            doc_id,
        }));
    }
    let form = small(body).await?;
    Ok(match operation {
        Operation::SendEdoc => return Err(Fault::argument("sendEdoc")),
        Operation::GetReceivedEdocList => {
            let word = needed(parameters, "messagetype")?;
            let message_type = MessageType::of_word(word).ok_or_else(|| {
                Fault::argument(format!("messagetype = {word:?}: phải là edoc hoặc status."))
            })?;
            list(hub.received(caller, listing(message_type)).await?)
        }
        Operation::GetEdoc => {
            let doc_id = needed(parameters, "docId")?;
            in_json(hub.content(caller, doc_id).await?)
        }
        Operation::DownloadEdoc => {
            let doc_id = needed(parameters, "docId")?;
            raw(hub.content(caller, doc_id).await?)
        }
        Operation::UpdateStatus => {
            let word = needed(parameters, "status")?;
            let progress = Progress::of_word(word).ok_or_else(|| {
                let text = format!("status = {word:?}: phải là done, fail hoặc processing.");
                Fault::argument(text)
            })?;
            let doc_id = needed(parameters, "docId")?;
            let description = parameters.get("description").unwrap_or_default();
            hub.update(caller, doc_id, progress, description).await?;
            json(&Envelope::ok())
        }
        Operation::GetSentEdocList => {
            list(hub.sent(caller, parameters.get("docId"), window).await?)
        }
        // The operation says what is counted; `messagetype` may be that of an earlier call.
        Operation::CountReceiveEdoc => {
            counted(hub.count(caller, listing(MessageType::Edoc)).await?)
        }
        Operation::CountReceiveStatus => {
            counted(hub.count(caller, listing(MessageType::Status)).await?)
        }
        Operation::GetAgenciesList => list(hub.agencies(caller)?),
        Operation::GetAgenciesListQd20 => list(hub.agencies_2020(caller, parameters.get("level"))?),
        Operation::GetSynchronizeUnit => list(hub.units(caller)?),
        Operation::RegisterAgency => {
            let agency: Registration = serde_json::from_slice(&form).map_err(|error| {
                Fault::argument(format!(
                    "Thân yêu cầu không phải JSON của một cơ quan: {error}."
                ))
            })?;
            hub.register(caller, agency).await?;
            json(&Envelope::ok())
        }
        Operation::DeleteAgency => {
            hub.delete(caller, needed(parameters, "AgencyCode")?)
                .await?;
            json(&Envelope::ok())
        }
    })
}

fn needed<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, Fault> {
    parameters.get(name).ok_or_else(|| {
        Fault::argument(format!(
            "Thiếu tham số {name} trong các tiêu đề đã ký (the signed parameter {name} is missing)."
        ))
    })
}

/// A body that is no package. It is read even where nothing in it counts: a client that waits
/// for `100 Continue` gets it then.
async fn small(body: &mut Incoming) -> Result<Vec<u8>, Fault> {
    let mut form = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        if form.len() + chunk.len() > SMALL {
            return Err(Fault::argument(
                "Thân yêu cầu quá lớn (the body is too large).",
            ));
        }
        form.extend_from_slice(&chunk);
    }
    Ok(form)
}

/// A JSON answer.
#[must_use]
pub fn json(value: &impl Serialize) -> Response<Body> {
    // Texts and numbers: writing them does not fail.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

const JSON: &str = "application/json;charset=UTF-8";

fn counted(count: u64) -> Response<Body> {
    json(&Counted {
        envelope: Envelope::ok(),
        count,
    })
}

fn with_status(mut response: Response<Body>, status: u16) -> Response<Body> {
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response
}

/// A refusal, in the form that the operation's clients understand.
#[must_use]
pub fn refused(operation: Operation, fault: &Fault) -> Response<Body> {
    let mut response = match operation {
        Operation::SendEdoc => json(&Sent {
            envelope: Envelope {
                error_desc: ascii(&fault.text),
                ..Envelope::fail(fault)
            },
            doc_id: String::new(),
        }),
        Operation::DownloadEdoc => {
            let mut response = with_status(Response::new(Body::empty()), fault.http);
            let headers = response.headers_mut();
            headers.insert(
                HeaderName::from_static("xroadvnpt-errorcode"),
                HeaderValue::from(fault.number),
            );
            let text: String = ascii(&fault.text)
                .chars()
                .map(|c| if c.is_ascii_control() { ' ' } else { c })
                .take(1_000)
                .collect();
            if let Ok(text) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static("xroadvnpt-errordesc"), text);
            }
            response
        }
        _ => json(&Envelope::fail(fault)),
    };
    if let Some(ms) = fault.retry_after_ms {
        let seconds = HeaderValue::from(ms.div_ceil(1_000));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// A list, row by row.
fn list<R: Serialize + Send + 'static>(rows: Rows<R>) -> Response<Body> {
    let chunks = stream::unfold(Some((ListWriter::new(), rows)), |state| async move {
        let (mut writer, mut rows) = state?;
        while writer.len() < LIST_CHUNK {
            match rows.next().await {
                Some(Ok(row)) => writer.push(&row),
                None => return Some((Ok(writer.end()), None)),
                Some(Err(fault)) => return Some((Err(broken(&fault)), None)),
            }
        }
        let chunk = writer.take();
        Some((Ok(chunk), Some((writer, rows))))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// What cuts an answer off that has begun.
fn broken(fault: &Fault) -> io::Error {
    io::Error::other(fault.clone())
}

/// A package as base64 inside JSON.
fn in_json(content: Content) -> Response<Body> {
    let head = format!(
        r#"{{"status":"OK","ErrorCode":"0","ErrorDesc":"{}","data":""#,
        crate::answer::DONE
    );
    let end = r#""}"#;
    let length = head.len() as u64 + Base64Text::len_of(content.size) + end.len() as u64;
    let state = Some((Base64Text::default(), content.chunks));
    let text = stream::unfold(state, move |state| async move {
        let (mut text, mut chunks) = state?;
        match chunks.next().await {
            Some(Ok(bytes)) => {
                let more = text.push(&bytes);
                Some((Ok(more), Some((text, chunks))))
            }
            Some(Err(fault)) => Some((Err(broken(&fault)), None)),
            None => Some((Ok(text.end()), None)),
        }
    });
    let one = |bytes: Bytes| stream::iter([Ok::<_, io::Error>(bytes)]);
    let whole = one(head.into()).chain(text).chain(one(end.into()));
    sized(Body::from_stream(whole), JSON, length)
}

/// A package as it is.
fn raw(content: Content) -> Response<Body> {
    let chunks = content
        .chunks
        .map(|chunk| chunk.map_err(|fault| broken(&fault)));
    let body = Body::from_stream(chunks);
    sized(body, "application/octet-stream", content.size)
}

fn sized(body: Body, kind: &'static str, length: u64) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}
