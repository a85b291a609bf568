//! An axis with three agencies, each with a system of its own, and packages for them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::client::{Client, Credentials, Deliveries, Error, Options};
use api::{Running, ServerOptions, v1};
use bytes::{Bytes, BytesMut};
use edxml::{Date, Organ, write};
use exchange::Exchange;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};

/// Nothing here takes long; what hangs fails.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The agencies: Nội vụ, Tài chính, Y tế; the systems `snv`, `stc`, `syt` serve them.
pub(crate) const SNV: &str = "000.00.12.H47";
pub(crate) const STC: &str = "000.00.13.H47";
pub(crate) const SYT: &str = "000.00.14.H47";

pub(crate) struct House {
    pub exchange: Exchange,
    running: Option<Running>,
    keys: HashMap<&'static str, String>,
    folder: TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(|_, _| {}).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(&mut exchange::Options, &mut ServerOptions),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut options = exchange::Options::new(&data);
        options.segment_size = 4 << 20;
        let mut server = ServerOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)), &data);
        server.grace = Duration::from_secs(2);
        server.version = "1.2.3".to_owned();
        change(&mut options, &mut server);
        let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
        let running = api::serve(server, exchange.clone(), CancellationToken::new())
            .await
            .unwrap();
        let mut house = Self {
            exchange,
            running: Some(running),
            keys: HashMap::new(),
            folder,
        };
        let admin = house.admin().await;
        let csv = format!(
            "code,code_2020,name,parent\n{SNV},H47.12,Sở Nội vụ,\n{STC},H47.13,Sở Tài chính,\n\
             {SYT},H47.14,Sở Y tế,\n"
        );
        let list = v1::ImportAgenciesRequest {
            csv: csv.into(),
            ..Default::default()
        };
        assert_eq!(admin.import_agencies(list).await.unwrap().added, 3);
        for (id, agency) in [("snv", SNV), ("stc", STC), ("syt", SYT)] {
            let system = v1::AddSystemRequest {
                id: id.to_owned(),
                agencies: vec![agency.to_owned()],
                ..Default::default()
            };
            let key = admin.add_system(system).await.unwrap().key;
            assert!(key.len() > 20, "a key of 256 bits");
            house.keys.insert(id, key);
        }
        house
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().bound().grpc
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn key(&self, system: &str) -> Credentials {
        Credentials::Key {
            system: system.to_owned(),
            key: self.keys[system].clone(),
        }
    }

    pub(crate) async fn admin(&self) -> Client {
        Client::connect_admin(&self.data(), "Lan", Some(SOON))
            .await
            .unwrap()
    }

    pub(crate) async fn client(&self, system: &str) -> Client {
        let mut options = Options::new(self.url());
        options.credentials = self.key(system);
        Client::connect(&options).await.unwrap()
    }

    /// A client as other languages have it: the generated one, nothing of ours around it.
    pub(crate) async fn raw(&self, system: &'static str) -> Raw {
        let endpoint = tonic::transport::Endpoint::from_shared(self.url()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let key = self.keys[system].parse().unwrap();
        let identity = Identity { system, key };
        Raw::new(InterceptedService::new(channel, identity))
    }

    /// Stops the server; the exchange goes on.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        tokio::time::timeout(SOON, running.stop())
            .await
            .expect("the stop is bounded");
    }

    /// Ends in good order.
    pub(crate) async fn close(mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        tokio::time::timeout(SOON, self.exchange.close())
            .await
            .expect("the end is bounded");
    }
}

pub(crate) type Raw = v1::exchange_service_client::ExchangeServiceClient<
    InterceptedService<tonic::transport::Channel, Identity>,
>;

#[derive(Clone)]
pub(crate) struct Identity {
    system: &'static str,
    key: MetadataValue<tonic::metadata::Ascii>,
}

impl tonic::service::Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("axis-system", MetadataValue::from_static(self.system));
        metadata.insert("axis-key", self.key.clone());
        Ok(request)
    }
}

/// A document from Nội vụ with this DocumentId.
pub(crate) fn document(id: &str, to: &[&str]) -> Bytes {
    document_with(id, to, b"%PDF-1.7".to_vec())
}

/// The same with an attachment of any size.
pub(crate) fn document_with(id: &str, to: &[&str], attachment: Vec<u8>) -> Bytes {
    let date = Date::new(2026, 3, 2).unwrap();
    let to = to.iter().map(|&code| Organ::new(code, None)).collect();
    let mut draft =
        write::DocumentDraft::new(Organ::new(SNV, Some("Sở Nội vụ")), to, id, "SNV-VP", date);
    draft.document.subject = Some("V/v kiểm tra".to_owned());
    draft.document.document_id = Some(id.to_owned());
    draft.attach("van-ban.pdf", "application/pdf", attachment);
    write::document(&draft).into()
}

pub(crate) async fn push(client: &Client, package: &Bytes) -> v1::Receipt {
    client
        .push(package.clone(), v1::PushOptions::default())
        .await
        .unwrap()
}

/// All that a stream of deliveries brings.
pub(crate) async fn all(deliveries: &mut Deliveries) -> Vec<(v1::DeliveryHeader, Bytes)> {
    let mut got = Vec::new();
    while let Some(header) = deliveries.next().await.unwrap() {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = deliveries.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        got.push((header, bytes.freeze()));
    }
    got
}

/// What waits for a system now, at most 100.
pub(crate) async fn waiting(client: &Client) -> Vec<(v1::DeliveryHeader, Bytes)> {
    let request = v1::FetchRequest {
        max_deliveries: 100,
        ..Default::default()
    };
    all(&mut client.fetch(request).await.unwrap()).await
}

pub(crate) fn settle(delivery_id: &str, outcome: v1::Outcome) -> v1::SettleRequest {
    v1::SettleRequest {
        delivery_id: delivery_id.to_owned(),
        round: 0,
        outcome: outcome.into(),
        reason: String::new(),
        sha256: String::new(),
    }
}

/// Of a refused call, the refusal's name.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Refused(view) => view.name,
        other => panic!("no refusal: {other}"),
    }
}

/// Of a status, the refusal's name.
pub(crate) fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info();
    info.unwrap_or_else(|| panic!("no refusal: {status}"))
        .reason
}
