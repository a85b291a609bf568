//! A running axis with three agencies, each with its own system, as most suites need it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use api::client::{Client, Credentials, Options};
use api::v1;
use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::{Axis, Builder, Cli, Document, System};

/// The agency whose system sends.
pub(crate) const A: &str = "000.00.01.H99";
/// The agency whose system receives.
pub(crate) const B: &str = "000.00.02.H99";
/// Another receiver, with a system of its own.
pub(crate) const C: &str = "000.00.03.H99";
/// Longest wait for what must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Segments that are made quickly and often.
pub(crate) const SMALL: &str = "[journal]\nsegment_bytes = 4194304\n";

/// The axis and its systems.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) axis: Axis,
    pub(crate) a: System,
    pub(crate) b: System,
    pub(crate) c: System,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::of(Axis::builder().config(SMALL))
    }

    /// With more configuration behind the small segments.
    pub(crate) fn with_config(more: &str) -> Self {
        Self::of(Axis::builder().config(format!("{SMALL}{more}")))
    }

    pub(crate) fn of(builder: Builder) -> Self {
        Self::on(builder.start().unwrap())
    }

    /// On an axis that runs.
    pub(crate) fn on(axis: Axis) -> Self {
        axis.register(9).unwrap();
        let [a, b, c] = [("so-a", A), ("so-b", B), ("so-c", C)]
            .map(|(id, code)| axis.add_system(id, &[code]).unwrap());
        Self { axis, a, b, c }
    }

    /// A command as a system.
    pub(crate) fn cli(&self, system: &System) -> Cli {
        self.axis.cli(system)
    }

    /// `axis send` of these packages as the first system, one file each; its lines.
    pub(crate) fn send(&self, packages: &[Vec<u8>]) -> Vec<Value> {
        let mut args = vec!["send".into(), "--json".into()];
        for (number, package) in packages.iter().enumerate() {
            let path = self.axis.file(&format!("{number}.edxml"), package).unwrap();
            args.push(path.into_os_string());
        }
        let finished = self.cli(&self.a).run(args).unwrap().ok().unwrap();
        let lines = finished.json().unwrap();
        assert_eq!(lines.len(), packages.len());
        lines
    }

    /// `axis receive` as a system into a folder; its lines.
    pub(crate) fn receive(&self, system: &System, out: &Path) -> Vec<Value> {
        let args = args!["receive", "--json", "--out", out];
        let finished = self.cli(system).run(args).unwrap().ok().unwrap();
        finished.json().unwrap()
    }

    /// A connection as a system.
    pub(crate) async fn client(&self, system: &System) -> Client {
        client(&self.axis, system).await
    }

    /// A connection as the operator.
    pub(crate) async fn operator(&self) -> Client {
        Client::connect_admin(self.axis.data(), "Lan", Some(SOON))
            .await
            .unwrap()
    }
}

/// A connection as a system.
pub(crate) async fn client(axis: &Axis, system: &System) -> Client {
    try_client(axis, system, SOON).await.unwrap()
}

pub(crate) async fn try_client(
    axis: &Axis,
    system: &System,
    timeout: Duration,
) -> Result<Client, api::client::Error> {
    let mut options = Options::new(format!("http://{}", axis.grpc()));
    options.credentials = Credentials::Key {
        system: system.id.clone(),
        key: system.key.clone(),
    };
    options.timeout = Some(timeout);
    Client::connect(&options).await
}

/// A document from A to B.
pub(crate) fn document(id: &str) -> Document {
    Document::new(A, &[B], id)
}

/// Pushes in one message.
pub(crate) async fn push(client: &Client, package: &[u8]) -> v1::Receipt {
    try_push(client, package).await.unwrap()
}

pub(crate) async fn try_push(
    client: &Client,
    package: &[u8],
) -> Result<v1::Receipt, api::client::Error> {
    let package = Bytes::copy_from_slice(package);
    client.push(package, v1::PushOptions::default()).await
}

/// The name of the refusal that a call must have met.
pub(crate) fn refused<T: std::fmt::Debug>(
    outcome: Result<T, api::client::Error>,
) -> api::client::RefusalView {
    match outcome {
        Err(api::client::Error::Refused(view)) => *view,
        other => panic!("not refused: {other:?}"),
    }
}

/// Fetches up to `max` deliveries with their content and leaves them leased.
pub(crate) async fn fetch(client: &Client, max: u32) -> Vec<(v1::DeliveryHeader, Vec<u8>)> {
    let request = v1::FetchRequest {
        max_deliveries: max,
        ..v1::FetchRequest::default()
    };
    let mut deliveries = client.fetch(request).await.unwrap();
    let mut got = Vec::new();
    while let Some(header) = deliveries.next().await.unwrap() {
        let mut bytes = Vec::new();
        while let Some(chunk) = deliveries.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        assert_eq!(hex(&Sha256::digest(&bytes)), header.sha256);
        got.push((header, bytes));
    }
    got
}

/// The one delivery that waits.
pub(crate) async fn fetch_one(client: &Client) -> (v1::DeliveryHeader, Vec<u8>) {
    let mut got = fetch(client, 2).await;
    assert_eq!(got.len(), 1, "{got:?}");
    got.remove(0)
}

/// Acknowledges a delivery.
pub(crate) async fn settle(client: &Client, header: &v1::DeliveryHeader) -> v1::SettleResponse {
    client.settle(acknowledged(header)).await.unwrap()
}

pub(crate) fn acknowledged(header: &v1::DeliveryHeader) -> v1::SettleRequest {
    v1::SettleRequest {
        delivery_id: header.delivery_id.clone(),
        round: header.round,
        outcome: v1::Outcome::Acknowledged.into(),
        reason: String::new(),
        sha256: String::new(),
    }
}

/// Fetches and settles all that waits.
pub(crate) async fn drain(client: &Client) -> Vec<(v1::DeliveryHeader, Vec<u8>)> {
    let mut all = Vec::new();
    loop {
        let got = fetch(client, 100).await;
        if got.is_empty() {
            return all;
        }
        for (header, _) in &got {
            settle(client, header).await;
        }
        all.extend(got);
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What must come soon.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(SOON, what).await;
    came.unwrap_or_else(|_| panic!("waited in vain for {SOON:?}"))
}

/// Asks until it is so, or fails; what is asked takes its time itself.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same without a runtime.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    let (_never, tick) = std::sync::mpsc::channel::<()>();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        let _ = tick.recv_timeout(Duration::from_millis(5));
    }
}

/// Copies a folder with all in it but sockets, as `cp -r` does.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&source, &target);
        } else if kind.is_file() {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

/// The files in a folder, by name.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    if let Ok(entries) = std::fs::read_dir(folder) {
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files.extend(self::files(&path));
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The segments of a data folder's journal.
pub(crate) fn segments(data: &Path) -> Vec<PathBuf> {
    let mut all = files(&data.join("journal"));
    all.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    all
}

/// Changes bytes of a file where they stand.
pub(crate) fn patch(path: &Path, offset: u64, change: impl FnOnce(&mut [u8]), len: usize) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset).unwrap();
    change(&mut bytes);
    file.write_all_at(&bytes, offset).unwrap();
}

/// Where these bytes stand in a file.
pub(crate) fn find(path: &Path, needle: &[u8]) -> Option<u64> {
    let bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(needle.len()).position(|w| w == needle)?;
    Some(at as u64)
}
