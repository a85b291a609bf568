//! The official Java client 2.0.1, imitated byte by byte over a bare socket: header order, one
//! map of parameters for each client object that forgets nothing, a timestamp made once, empty
//! bodies, `{}`, `Expect: 100-continue`, CR LF behind the package, a hash without padding. It
//! shares nothing with the crate `vxp`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::house::hex;

const PATIENCE: Duration = Duration::from_secs(20);

/// One client object.
#[derive(Clone)]
pub(super) struct Sdk {
    address: SocketAddr,
    /// The address it calls from, if not the usual one.
    local: Option<std::net::IpAddr>,
    secret: String,
    /// Logical headers as they were put in; `timestamp` and `Content-Type` come last.
    map: Vec<(String, String)>,
    timestamp: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The answer of success.
    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        let json = self.json();
        assert_eq!(
            (&json["status"], &json["ErrorCode"]),
            (&"OK".into(), &"0".into()),
            "{json}"
        );
        assert_eq!(self.status, 200);
        json
    }

    /// Number and name of a refusal; its HTTP status is 200, as the client wants it.
    #[track_caller]
    pub(super) fn fail(&self) -> (String, String) {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"]),
            (200, &"FAIL".into()),
            "{json}"
        );
        let text = json["ErrorDesc"].as_str().unwrap();
        let name = text.split(':').next().unwrap().to_owned();
        (json["ErrorCode"].as_str().unwrap().to_owned(), name)
    }
}

/// A request, ready to be sent, and sent again.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) method: &'static str,
    pub(super) operation: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Sdk {
    pub(super) fn new(address: SocketAddr, system: &str, secret: &str) -> Self {
        let now = ledger::time::Clock::system().now();
        Self {
            address,
            local: None,
            secret: secret.to_owned(),
            map: vec![("systemid".to_owned(), system.to_owned())],
            timestamp: stamp(now.0),
        }
    }

    /// The same client object, made at another time.
    pub(super) fn made_at(mut self, ms: i64) -> Self {
        self.timestamp = stamp(ms);
        self
    }

    /// The same client object on another machine.
    pub(super) fn at_address(mut self, local: &str) -> Self {
        self.local = Some(local.parse().unwrap());
        self
    }

    pub(super) fn put(&mut self, name: &str, value: &str) -> &mut Self {
        match self.map.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.map.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    fn service(&mut self, message_type: &str) {
        self.put("servicetype", "eDoc")
            .put("messagetype", message_type);
    }

    /// The logical headers in the order of a Java HashMap of 16 places.
    fn ordered(&self, kind: &str) -> Vec<(String, String)> {
        let mut all = self.map.clone();
        let status = all.iter().position(|(name, _)| name == "status");
        let status = status.map(|at| all.remove(at));
        all.push(("timestamp".to_owned(), self.timestamp.clone()));
        all.push(("Content-Type".to_owned(), kind.to_owned()));
        all.extend(status);
        all.sort_by_key(|(name, _)| place(name));
        all
    }

    /// What the client object would send now.
    pub(super) fn prepare(
        &self,
        method: &'static str,
        operation: &'static str,
        body: &[u8],
    ) -> Prepared {
        let sends = operation == "sendEdoc";
        let kind = if sends {
            "application/octet-stream"
        } else {
            "application/json"
        };
        let logical = self.ordered(kind);
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut push = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        if sends {
            push("Content-Type", kind);
        }
        for (name, value) in &logical {
            if name == "Content-Type" && !sends {
                push("Content-Type", kind);
            }
            push(&format!("XroadVnpt-{name}"), value);
        }
        let names: Vec<_> = logical.iter().map(|(name, _)| name.as_str()).collect();
        let signed: Vec<_> = logical
            .iter()
            .map(|(name, value)| format!("\"XroadVnpt-{name}\":{}", Value::from(value.as_str())))
            .collect();
        let text = format!("{{{}}}", signed.join(","));
        push("XroadVnpt-sign-header-key", &names.join(";"));
        push("XroadVnpt-sign-header", &text);
        push(
            "XroadVnpt-hash-header",
            &hex(&hmac(self.secret.as_bytes(), text.as_bytes())),
        );
        push("User-Agent", "JAVASDKAgent/1.0.0 XRoad/VPCP");
        push("XroadVnpt-version", "3.0.201608");
        if sends {
            push("Cache-Control", "no-cache");
            push("Pragma", "no-cache");
            push("Accept", "text/html, image/gif, image/jpeg, */*; q=0.2");
            push("Connection", "keep-alive");
            push("Content-Length", &body.len().to_string());
        } else {
            if method == "POST" {
                push("Content-Length", &body.len().to_string());
            }
            push("Connection", "Keep-Alive");
            if !body.is_empty() {
                push("Expect", "100-continue");
            }
            push("Accept-Encoding", "gzip,deflate");
        }
        Prepared {
            method,
            operation,
            headers,
            body: body.to_vec(),
        }
    }

    /// Sends what was prepared, and reads the answer.
    pub(super) fn send(&self, request: &Prepared) -> Reply {
        let mut stream = self.begin(request);
        answer(&mut stream)
    }

    /// Sends what was prepared and goes without reading the answer.
    pub(super) fn begin(&self, request: &Prepared) -> TcpStream {
        let mut stream = self.connect();
        let mut head = format!("{} /{} HTTP/1.1\r\n", request.method, request.operation);
        head.push_str(&format!("Host: {}\r\n", self.address));
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        if request.headers.iter().any(|(name, _)| name == "Expect") {
            // As Apache's client: the body goes when the server has said so.
            let mut go_on = [0; 25];
            match stream.read_exact(&mut go_on) {
                Ok(()) => assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n"),
                Err(error) => panic!("no 100 Continue: {error}"),
            }
        }
        stream.write_all(&request.body).unwrap();
        stream
    }

    fn connect(&self) -> TcpStream {
        let stream = match self.local {
            None => TcpStream::connect(self.address).unwrap(),
            Some(local) => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let stream = runtime.block_on(async {
                    let socket = tokio::net::TcpSocket::new_v4().unwrap();
                    socket.bind((local, 0).into()).unwrap();
                    socket
                        .connect(self.address)
                        .await
                        .unwrap()
                        .into_std()
                        .unwrap()
                });
                stream.set_nonblocking(false).unwrap();
                stream
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The request that sends a file, with a CR LF behind it.
    pub(super) fn sending(&mut self, from: &str, message_type: &str, file: &[u8]) -> Prepared {
        self.service(message_type);
        self.put("hash-file", &unpadded(file)).put("from", from);
        self.prepare("POST", "sendEdoc", &[file, b"\r\n"].concat())
    }

    pub(super) fn send_edoc(&mut self, from: &str, message_type: &str, file: &[u8]) -> Reply {
        let request = self.sending(from, message_type, file);
        self.send(&request)
    }

    /// Sends a document that must be taken; its DocId.
    #[track_caller]
    pub(super) fn sent(&mut self, from: &str, file: &[u8]) -> String {
        let answer = self.send_edoc(from, "edoc", file).ok();
        let id = answer["DocId"].as_str().unwrap().to_owned();
        assert!(
            id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
        id
    }

    pub(super) fn call(&self, operation: &'static str, body: &[u8]) -> Reply {
        self.send(&self.prepare("POST", operation, body))
    }

    pub(super) fn list(&mut self, message_type: &str) -> Reply {
        self.service(message_type);
        self.call("getReceivedEdocList", b"")
    }

    /// The rows of what waits.
    #[track_caller]
    pub(super) fn waiting(&mut self, message_type: &str) -> Vec<Value> {
        self.list(message_type).ok()["data"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The docIds of what waits.
    #[track_caller]
    pub(super) fn ids(&mut self, message_type: &str) -> Vec<String> {
        let rows = self.waiting(message_type);
        let ids = rows
            .iter()
            .map(|row| row["docId"].as_str().unwrap().to_owned());
        ids.collect()
    }

    pub(super) fn get(&mut self, doc_id: &str) -> Reply {
        self.put("docId", doc_id).put("filePath", "xml");
        self.call("getEdoc", b"{}")
    }

    pub(super) fn download(&mut self, doc_id: &str) -> Reply {
        self.put("docId", doc_id).put("filePath", "xml");
        self.send(&self.prepare("GET", "downloadEdoc", b""))
    }

    pub(super) fn update(&mut self, doc_id: &str, status: &str) -> Reply {
        self.put("docId", doc_id).put("status", status);
        self.call("updateStatus", b"{}")
    }

    pub(super) fn sent_list(&mut self, doc_id: &str) -> Reply {
        self.service("edoc");
        self.put("docId", doc_id);
        self.call("getSentEdocList", b"")
    }
}

/// Reads one answer.
pub(super) fn answer(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let mut chunk = [0; 64 << 10];
    let mut more = |bytes: &mut Vec<u8>| {
        let read = stream.read(&mut chunk).unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        read
    };
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        assert_ne!(
            more(&mut bytes),
            0,
            "no answer: {}",
            String::from_utf8_lossy(&bytes)
        );
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| {
        let found = head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        });
        found.unwrap_or_default()
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut rest = bytes[end..].to_vec();
    let body = if header("transfer-encoding") == "chunked" {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match rest.windows(2).position(|two| two == b"\r\n") {
                    Some(at) => break at,
                    None => assert_ne!(more(&mut rest), 0, "the list broke off"),
                }
            };
            let size = std::str::from_utf8(&rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            while rest.len() < line + 2 + size + 2 {
                assert_ne!(more(&mut rest), 0, "the list broke off");
            }
            body.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest.drain(..line + 2 + size + 2);
            if size == 0 {
                break body;
            }
        }
    } else {
        let length: usize = header("content-length").parse().unwrap();
        while rest.len() < length {
            assert_ne!(more(&mut rest), 0, "the answer broke off");
        }
        assert_eq!(rest.len(), length);
        rest
    };
    Reply { status, head, body }
}

/// The place of a key in a Java HashMap of 16 places.
fn place(name: &str) -> u32 {
    let hash = name.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    (hash ^ (hash >> 16)) & 15
}

/// SHA-256 as the SDK writes it.
pub(super) fn unpadded(file: &[u8]) -> String {
    Sha256::digest(file)
        .iter()
        .map(|byte| format!("{byte:x}"))
        .collect()
}

/// HMAC-SHA256 (RFC 2104), from the hash alone.
fn hmac(secret: &[u8], text: &[u8]) -> [u8; 32] {
    let mut key = [0; 64];
    if secret.len() > key.len() {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let pad = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// `ddMMyyyy'T'HHmmss+SSSS` in Vietnam time.
fn stamp(ms: i64) -> String {
    let told = ledger::time::Ms(ms).told();
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    format!(
        "{}T{}+{:04}",
        &digits[..8],
        &digits[8..],
        ms.rem_euclid(1_000)
    )
}

#[test]
fn the_test_client_sends_what_the_official_client_sent() {
    let captured = include_str!("../../../crates/vxp/tests/data/captured.jsonl");
    let mut compared = 0;
    for line in captured.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let headers: Vec<(String, String)> =
            serde_json::from_value(request["headers"].clone()).unwrap();
        let find = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let system = find("XroadVnpt-systemid");
        let secret = system.replace("sys", "key");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut sdk = Sdk::new(nowhere, system, &secret);
        sdk.timestamp = find("XroadVnpt-timestamp").to_owned();
        for name in find("XroadVnpt-sign-header-key").split(';') {
            if !matches!(name, "systemid" | "timestamp" | "Content-Type") {
                sdk.put(name, find(&format!("XroadVnpt-{name}")));
            }
        }
        let body = request["body_base64"].as_str().unwrap_or_default();
        let body = decoded(body);
        let method = if request["method"] == "GET" {
            "GET"
        } else {
            "POST"
        };
        let operation = if request["operation"] == "sendEdoc" {
            "sendEdoc"
        } else {
            "other"
        };
        let mut ours = sdk.prepare(method, operation, &body).headers;
        if request["answer"]["ErrorCode"] == "15" {
            // This one was sent with a wrong secret.
            let theirs = find("XroadVnpt-hash-header");
            let (_, hash) = ours
                .iter_mut()
                .find(|(name, _)| name == "XroadVnpt-hash-header")
                .unwrap();
            assert_ne!(hash, theirs);
            theirs.clone_into(hash);
        }
        assert_eq!(ours, headers, "{line}");
        compared += 1;
    }
    assert_eq!(compared, 27);
}

/// Base64, from its alphabet alone.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits: Vec<u8> = four
            .iter()
            .filter(|c| **c != b'=')
            .map(|c| digit(*c))
            .collect();
        let bits = digits
            .iter()
            .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit));
        let bits = bits << (6 * (4 - digits.len()));
        let all = bits.to_be_bytes();
        bytes.extend_from_slice(&all[1..digits.len()]);
    }
    bytes
}

/// The same, the other way.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut all = [0; 3];
        all[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, all[0], all[1], all[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= three.len() {
                char::from(alphabet[digit])
            } else {
                '='
            });
        }
    }
    text
}
