//! The client half against the server half over a real connection, and both against what does
//! not behave.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use vxp::answer::{Agency2020Row, AgencyRow, Received, Registration, SentCopy, UnitRow};
use vxp::client::{CallError, Client, Options};
use vxp::fault::number;
use vxp::server::{self, Content, Hub, Incoming, Listing, Rows, Sending};
use vxp::signature::Claim;
use vxp::{Fault, MessageType, Operation, Progress, Window};

const SECRET: &str = "bi-mat";
const SILENCE: Duration = Duration::from_secs(20);

/// An axis that keeps packages in memory: each is one copy for its only receiver.
#[derive(Default)]
struct Shelf {
    packages: Mutex<BTreeMap<String, (Bytes, Option<Progress>)>>,
    asked: Mutex<Vec<String>>,
}

impl Shelf {
    fn row(id: &str) -> Received {
        Received {
            doc_id: id.to_owned(),
            status: "initial".to_owned(),
            ..Received::default()
        }
    }

    fn waiting(&self) -> Vec<Received> {
        let packages = self.packages.lock().unwrap();
        let open = packages
            .iter()
            .filter(|(_, (_, state))| !matches!(state, Some(Progress::Done | Progress::Fail)));
        open.map(|(id, _)| Self::row(id)).collect()
    }
}

fn rows<R: Send + 'static>(rows: Vec<R>) -> Rows<R> {
    Box::pin(stream::iter(rows.into_iter().map(Ok)))
}

fn unknown() -> Fault {
    Fault::new(number::NOT_POSSIBLE, "NOT_FOUND", 404, "Không tìm thấy")
}

impl Hub for Shelf {
    type Caller = String;

    fn admit(&self, claim: &Claim, operation: Operation, _: IpAddr) -> Result<String, Fault> {
        if !claim.is_signed_with(SECRET.as_bytes()) {
            return Err(Fault::unauthenticated("Sai khóa"));
        }
        self.asked.lock().unwrap().push(operation.name().to_owned());
        Ok(claim.system().to_owned())
    }

    async fn send(
        &self,
        _: &String,
        asked: Sending,
        package: &mut Incoming,
    ) -> Result<String, Fault> {
        if asked.from == "la" {
            return Err(Fault::new(
                19,
                "FOREIGN_SENDER",
                403,
                "Mã đơn vị gửi không khớp",
            ));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = package.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        let mut packages = self.packages.lock().unwrap();
        let id = format!("{:024x}", packages.len());
        packages.insert(id.clone(), (bytes.into(), None));
        Ok(id)
    }

    async fn received(&self, _: &String, asked: Listing) -> Result<Rows<Received>, Fault> {
        let some = asked.message_type == MessageType::Edoc;
        Ok(rows(if some { self.waiting() } else { Vec::new() }))
    }

    async fn count(&self, _: &String, _: Listing) -> Result<u64, Fault> {
        Ok(self.waiting().len() as u64)
    }

    async fn content(&self, _: &String, doc_id: &str) -> Result<Content, Fault> {
        let packages = self.packages.lock().unwrap();
        let (bytes, _) = packages.get(doc_id).ok_or_else(unknown)?.clone();
        let pieces: Vec<_> = bytes.chunks(1_000).map(Bytes::copy_from_slice).collect();
        Ok(Content {
            size: bytes.len() as u64,
            chunks: rows(pieces),
        })
    }

    async fn update(&self, _: &String, doc_id: &str, to: Progress, _: &str) -> Result<(), Fault> {
        let mut packages = self.packages.lock().unwrap();
        packages.get_mut(doc_id).ok_or_else(unknown)?.1 = Some(to);
        Ok(())
    }

    async fn sent(&self, _: &String, id: Option<&str>, _: Window) -> Result<Rows<SentCopy>, Fault> {
        Ok(rows(vec![SentCopy {
            sender_doc_id: id.unwrap_or("all").to_owned(),
            ..SentCopy::default()
        }]))
    }

    fn agencies(&self, _: &String) -> Result<Rows<AgencyRow>, Fault> {
        let row = |n: u32| {
            Ok(AgencyRow {
                id: n.to_string(),
                code: format!("000.00.00.H{n}"),
                name: "Ủy ban nhân dân xã".to_owned(),
                ..AgencyRow::default()
            })
        };
        Ok(Box::pin(stream::iter((0..120_000).map(row))))
    }

    fn agencies_2020(&self, _: &String, level: Option<&str>) -> Result<Rows<Agency2020Row>, Fault> {
        Ok(rows(vec![Agency2020Row {
            code: level.unwrap_or_default().to_owned(),
            ..Agency2020Row::default()
        }]))
    }

    fn units(&self, _: &String) -> Result<Rows<UnitRow>, Fault> {
        // The disk breaks behind the first row.
        let broken = stream::iter([Ok(UnitRow::default()), Err(unknown())]);
        Ok(Box::pin(broken))
    }

    async fn register(&self, _: &String, agency: Registration) -> Result<(), Fault> {
        if agency.code.is_empty() {
            return Err(Fault::argument("Thiếu code"));
        }
        Ok(())
    }

    async fn delete(&self, _: &String, _: &str) -> Result<(), Fault> {
        Ok(())
    }
}

async fn answer(State(shelf): State<Arc<Shelf>>, request: Request) -> axum::response::Response {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    server::answer(&*shelf, here, request, SILENCE).await
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn shelf() -> (Arc<Shelf>, Client) {
    let shelf = Arc::new(Shelf::default());
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&shelf));
    let address = serve(router).await;
    (shelf, client(address, SECRET))
}

fn client(address: SocketAddr, secret: &str) -> Client {
    let options = Options::new(format!("http://{address}/"), "so-a", secret);
    Client::new(http(), options)
}

/// Plain HTTP: no TLS is set up for it.
fn http() -> reqwest::Client {
    let _ = rustls_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Whatever else runs in this process may have set it.
fn rustls_default() -> Result<(), ()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(drop)
}

fn package(bytes: usize) -> Bytes {
    let mut text = b"<edXML>".to_vec();
    text.resize(bytes.max(7), b'x');
    text.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_goes_there_and_back() {
    let (shelf, client) = shelf().await;
    let file = package(300_000);
    let id = client
        .send_edoc(
            "000.00.01.H99",
            MessageType::Edoc,
            &["000.00.02.H99"],
            &file,
        )
        .await
        .unwrap();
    assert_eq!(
        shelf.packages.lock().unwrap()[&id].0,
        file,
        "less the CR LF"
    );

    assert_eq!(client.count(MessageType::Edoc).await.unwrap(), 1);
    let mut list = client.received(MessageType::Edoc, None).await.unwrap();
    assert_eq!(list.next().await.unwrap(), Some(Shelf::row(&id)));
    assert_eq!(list.next().await.unwrap(), None);
    let mut none = client
        .received(MessageType::Status, Some(("22/11/2026", "23/11/2026")))
        .await
        .unwrap();
    assert_eq!(none.next().await.unwrap(), None);

    assert_eq!(client.get_edoc(&id).await.unwrap(), file);
    let mut download = client.download_edoc(&id).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert!(bytes == file);

    for progress in [Progress::Processing, Progress::Done] {
        client
            .update_status(&id, progress, "đã nhận")
            .await
            .unwrap();
    }
    assert_eq!(client.count(MessageType::Status).await.unwrap(), 0);
    let mut sent = client
        .sent(MessageType::Edoc, Some(&id), None)
        .await
        .unwrap();
    assert_eq!(sent.next().await.unwrap().unwrap().sender_doc_id, id);
    let mut level = client.agencies_2020("1").await.unwrap();
    assert_eq!(level.next().await.unwrap().unwrap().code, "1");
    let agency = Registration {
        code: "000.00.09.H99".to_owned(),
        ..Registration::default()
    };
    client.register_agency(&agency).await.unwrap();
    client.delete_agency("000.00.09.H99").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_national_list_is_read_row_by_row() {
    let (_, client) = shelf().await;
    let mut rows = client.agencies().await.unwrap();
    let mut count = 0;
    while let Some(row) = rows.next().await.unwrap() {
        assert_eq!(row.id, count.to_string());
        count += 1;
    }
    assert_eq!(count, 120_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_has_number_and_text_and_a_broken_list_is_no_list() {
    let (shelf, client) = shelf().await;
    let refused = |error: CallError| match error {
        CallError::Refused { number, text } => (number, text),
        other => panic!("{other:?}"),
    };
    let file = package(200_000);
    let error = client.send_edoc("la", MessageType::Edoc, &[], &file).await;
    let (number, text) = refused(error.unwrap_err());
    assert_eq!(
        (number.as_str(), text.as_str()),
        ("19", "Ma don vi gui khong khop")
    );
    let error = client.get_edoc("khong-co").await.unwrap_err();
    assert_eq!(
        refused(error),
        ("21".to_owned(), "Không tìm thấy".to_owned())
    );
    let error = client.register_agency(&Registration::default()).await;
    assert_eq!(refused(error.unwrap_err()).0, "10");
    // No body that could be saved as a package.
    let error = client.download_edoc("khong-co").await.unwrap_err();
    assert!(matches!(error, CallError::Http(404)), "{error:?}");

    // Before its head or in its middle: it is told.
    let broken = match client.units().await {
        Err(error) => error,
        Ok(mut units) => loop {
            match units.next().await {
                Ok(row) => assert!(row.is_some(), "a list that broke off looks whole"),
                Err(error) => break error,
            }
        },
    };
    assert!(matches!(broken, CallError::NoAnswer(_)), "{broken:?}");
    assert!(shelf.packages.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_gets_nothing_done() {
    let shelf = Arc::new(Shelf::default());
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&shelf));
    let address = serve(router).await;
    let error = client(address, "sai")
        .send_edoc("a", MessageType::Edoc, &[], &package(100))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Refused { number, .. } if number == "15"));
    assert!(shelf.asked.lock().unwrap().is_empty());
    assert!(shelf.packages.lock().unwrap().is_empty());
}

/// A server that answers the first request with these bytes, whatever it is.
async fn babbler(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut chunk = [0; 4096];
                while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read(&mut chunk).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => head.extend_from_slice(&chunk[..read]),
                    }
                }
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

fn http_200(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_and_f8_nonsense_is_neither_a_package_nor_an_empty_list() {
    let page = "<html><body>502 Bad Gateway</body></html>";
    let error = r#"{"status":"FAIL","ErrorCode":"20","ErrorDesc":"loi","DocId":null}"#;
    for body in ["", page, "null"] {
        let client = client(babbler(http_200(body)).await, SECRET);
        let mut list = client.received(MessageType::Edoc, None).await.unwrap();
        let row = list.next().await;
        assert!(
            matches!(row, Err(CallError::NotUnderstood(_))),
            "{body}: {row:?}"
        );
        let sent = client
            .send_edoc("a", MessageType::Edoc, &[], &package(9))
            .await;
        let sent = sent.unwrap_err();
        assert!(sent.is_unknown(), "{sent:?}");
    }
    let client_of = |body: &str| {
        let bytes = http_200(body);
        async move { client(babbler(bytes).await, SECRET) }
    };
    let download = client_of(error).await.download_edoc("x").await;
    assert!(matches!(download, Err(CallError::NoPackage)));
    let sent = client_of(r#"{"status":"OK","ErrorCode":"0","DocId":null}"#).await;
    let sent = sent
        .send_edoc("a", MessageType::Edoc, &[], &package(9))
        .await;
    assert!(matches!(sent, Err(CallError::NoDocId)));
    let got = client_of(r#"{"status":"OK","ErrorCode":"0","data":"@@@"}"#).await;
    assert!(matches!(got.get_edoc("x").await, Err(CallError::NoPackage)));
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_a_lost_answer_is_told_from_a_request_that_never_left() {
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let never = client(gone, SECRET)
        .send_edoc("a", MessageType::Edoc, &[], &package(9))
        .await
        .unwrap_err();
    assert!(matches!(never, CallError::NotSent(_)) && !never.is_unknown());
    let lost = client(babbler(Vec::new()).await, SECRET)
        .send_edoc("a", MessageType::Edoc, &[], &package(9))
        .await
        .unwrap_err();
    assert!(lost.is_unknown(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_end_are_refused() {
    let huge = format!(r#"{{"status":"OK","data":"{}"}}"#, "A".repeat(200_000));
    let address = babbler(http_200(&huge)).await;
    let mut options = Options::new(format!("http://{address}"), "so-a", SECRET);
    options.max_package = 10_000;
    let client = Client::new(http(), options);
    assert!(matches!(
        client.get_edoc("x").await,
        Err(CallError::TooLarge(_))
    ));
    assert!(matches!(
        client.count(MessageType::Edoc).await,
        Err(CallError::TooLarge(_))
    ));
}

/// The whole of what a raw client gets back.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_of_the_protocol_is_answered_in_its_form() {
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::new(Shelf::default()));
    let address = serve(router).await;
    let head = "HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    for (line, status, has) in [
        ("POST /sendEdocs", "404", r#""status":"FAIL""#),
        ("GET /sendEdoc", "405", r#""status":"FAIL""#),
        ("PUT /getEdoc", "405", r#""status":"FAIL""#),
        ("POST /getEdoc", "200", r#""ErrorCode":"15""#),
        ("POST /sendEdoc", "200", r#""DocId":"""#),
    ] {
        let answer = raw(address, &format!("{line} {head}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {answer}"
        );
        assert!(answer.contains(has), "{line}: {answer}");
    }
    let download = raw(address, &format!("GET /downloadEdoc {head}")).await;
    assert!(download.starts_with("HTTP/1.1 401") && download.contains("xroadvnpt-errorcode: 15"));
    assert!(
        download.ends_with("\r\n\r\n"),
        "no body that a client would save: {download}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_cut_off_is_no_package() {
    let shelf = Arc::new(Shelf::default());
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&shelf));
    let address = serve(router).await;
    let mut parameters = vxp::signature::Parameters::new();
    let file = package(1_000);
    let hash = {
        use sha2::Digest as _;
        vxp::hash::write(
            &sha2::Sha256::digest(&file).into(),
            vxp::hash::HashForm::Padded,
        )
    };
    parameters
        .set("systemid", "so-a")
        .set("hash-file", hash)
        .set("from", "a")
        .set("timestamp", "22112026T045914+0625");
    let headers = parameters.sign(SECRET.as_bytes()).unwrap();
    let mut head = String::from("POST /sendEdoc HTTP/1.1\r\nHost: a\r\nContent-Length: 1002\r\n");
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .await
        .unwrap();
    stream.write_all(&file[..999]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains(r#""OK""#), "{answer}");
    assert!(shelf.packages.lock().unwrap().is_empty());
}
