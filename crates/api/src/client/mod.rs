//! A client of axis.v1: typed calls, refusals told apart from an axis that cannot be reached.
//!
//! Nothing is retried here: the caller knows whether to. Pushing the same bytes again is
//! always safe.

mod connect;
mod error;
mod push;
mod receive;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tonic::metadata::{AsciiMetadataValue, BinaryMetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

pub use self::error::Error;
pub use self::push::Pushed;
pub use self::receive::{Deliveries, Event, Sender, Subscription};
pub use crate::refused::{DetailView, RefusalView};

use crate::metadata::{ACCOUNT, BY, KEY, SYSTEM};
use crate::v1::access_service_client::AccessServiceClient;
use crate::v1::exchange_service_client::ExchangeServiceClient;
use crate::v1::history_service_client::HistoryServiceClient;
use crate::v1::operations_service_client::OperationsServiceClient;
use crate::v1::registry_service_client::RegistryServiceClient;
use crate::v1::status_service_client::StatusServiceClient;
use crate::{admin, v1};

/// Longest answer taken, in bytes.
const ANSWER: usize = 64 << 20;

/// How to reach an axis and who calls.
#[derive(Debug, Clone)]
pub struct Options {
    /// `http://host:port` or `https://host:port`.
    pub server: String,
    /// Who calls.
    pub credentials: Credentials,
    /// Authorities of the server's certificate; needed for https.
    pub ca: Option<Pem>,
    /// Longest time to connect, of a call, and between two messages of Fetch and Download.
    /// `None` waits for ever.
    pub timeout: Option<Duration>,
}

impl Options {
    /// A server called without credentials, with 30 seconds for each call.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            credentials: Credentials::None,
            ca: None,
            timeout: Some(Duration::from_secs(30)),
        }
    }
}

/// Who calls.
#[derive(Clone)]
pub enum Credentials {
    /// Nobody: health and reflection only.
    None,
    /// A system by its key.
    Key {
        /// The system's id.
        system: String,
        /// Its key.
        key: String,
    },
    /// A person by an account.
    Account {
        /// The account's id.
        account: String,
        /// Its key.
        key: String,
    },
    /// A system by a client certificate that is pinned to it.
    Certificate {
        /// The certificate, then its intermediates.
        chain: Pem,
        /// Its private key.
        key: Pem,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Account { account, .. } => write!(f, "Account({account})"),
            Self::Key { system, .. } => write!(f, "Key({system})"),
            Self::Certificate { chain, .. } => write!(f, "Certificate({})", chain.name.display()),
        }
    }
}

/// The content of a PEM file, and its name for errors.
#[derive(Clone)]
pub struct Pem {
    /// Where it came from.
    pub name: PathBuf,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({})", self.name.display())
    }
}

/// Puts who calls beside each call.
#[derive(Clone, Default)]
struct Identity {
    key: Option<(&'static str, AsciiMetadataValue, AsciiMetadataValue)>,
    by: Option<BinaryMetadataValue>,
}

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some((name, who, key)) = &self.key {
            metadata.insert(*name, who.clone());
            metadata.insert(KEY, key.clone());
        }
        if let Some(by) = &self.by {
            metadata.insert_bin(BY, by.clone());
        }
        Ok(request)
    }
}

type Link = InterceptedService<Channel, Identity>;

/// A connection to an axis. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Client {
    link: Link,
    channel: Channel,
    target: String,
    timeout: Option<Duration>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.target)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $service:ident.$name:ident($request:ty) -> $response:ty;)*) => {
        impl Client {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// [`Error`].
                pub async fn $name(&self, request: $request) -> Result<$response, Error> {
                    let mut service = self.$service();
                    self.ask(service.$name(self.request(request))).await
                }
            )*
        }
    };
}

calls! {
    /// Acknowledges, fails or gives back a delivery.
    exchange.settle(v1::SettleRequest) -> v1::SettleResponse;
    /// Makes a lease last longer.
    exchange.extend(v1::ExtendRequest) -> v1::ExtendResponse;
    /// Builds a status package and pushes it.
    status.report(v1::ReportRequest) -> v1::Receipt;
    /// Takes a document back from some or all of its receivers, in one transaction.
    status.recall(v1::RecallRequest) -> v1::RecallResponse;
    /// The state of a document at each of its receivers.
    status.matrix(v1::MatrixRequest) -> v1::MatrixResponse;
    /// Statuses whose document has not come.
    status.list_unmatched(v1::ListUnmatchedRequest) -> v1::ListUnmatchedResponse;
    /// Numbers that more than one document of an agency has in one year.
    history.list_duplicates(v1::ListDuplicatesRequest) -> v1::ListDuplicatesResponse;
    /// Active agencies that neither sent nor received anything in a period.
    history.list_idle(v1::ListIdleRequest) -> v1::ListIdleResponse;
    /// Finds packages, or refused pushes.
    history.search(v1::SearchRequest) -> v1::SearchResponse;
    /// The story of one package, delivery or document.
    history.trace(v1::TraceRequest) -> v1::TraceResponse;
    /// Agencies, page by page.
    registry.list_agencies(v1::ListAgenciesRequest) -> v1::ListAgenciesResponse;
    /// One agency by any of its codes.
    registry.get_agency(v1::GetAgencyRequest) -> v1::AgencyRecord;
    /// Imports a list of agencies (operators).
    registry.import_agencies(v1::ImportAgenciesRequest) -> v1::ImportAgenciesResponse;
    /// Systems: all for an operator, its own for a system.
    registry.list_systems(v1::ListSystemsRequest) -> v1::ListSystemsResponse;
    /// Adds a system (operators).
    registry.add_system(v1::AddSystemRequest) -> v1::AddSystemResponse;
    /// Gives a system another key (operators).
    registry.add_system_key(v1::AddSystemKeyRequest) -> v1::AddSystemKeyResponse;
    /// Pins a client certificate to a system (operators).
    registry.pin_certificate(v1::PinCertificateRequest) -> v1::PinCertificateResponse;
    /// Revokes keys and pins (operators).
    registry.revoke_system(v1::RevokeSystemRequest) -> v1::RevokeSystemResponse;
    /// Changes of one agency or all, the last first.
    registry.list_changes(v1::ListChangesRequest) -> v1::ListChangesResponse;
    /// What differs between two moments.
    registry.diff_registry(v1::DiffRegistryRequest) -> v1::DiffRegistryResponse;
    /// A new agency (registrars).
    registry.add_agency(v1::AddAgencyRequest) -> v1::ChangeAgencyResponse;
    /// requested -> approved, or on to active (registrars).
    registry.approve_agency(v1::ApproveAgencyRequest) -> v1::ChangeAgencyResponse;
    /// Renames, recodes, moves, describes (registrars).
    registry.change_agency(v1::ChangeAgencyRequest) -> v1::ChangeAgencyResponse;
    /// Stops an agency sending (registrars).
    registry.suspend_agency(v1::SuspendAgencyRequest) -> v1::ChangeAgencyResponse;
    /// Lets it send again (registrars).
    registry.resume_agency(v1::StateRequest) -> v1::ChangeAgencyResponse;
    /// Ends an agency (registrars).
    registry.close_agency(v1::CloseAgencyRequest) -> v1::ChangeAgencyResponse;
    /// Opens a closed one again (registrars).
    registry.reopen_agency(v1::StateRequest) -> v1::ChangeAgencyResponse;
    /// Merges agencies into one (registrars).
    registry.merge_agencies(v1::MergeAgenciesRequest) -> v1::ChangeAgencyResponse;
    /// Splits one (registrars).
    registry.split_agency(v1::SplitAgencyRequest) -> v1::ChangeAgencyResponse;
    /// Takes a planned change back (registrars).
    registry.withdraw_change(v1::WithdrawChangeRequest) -> v1::ChangeAgencyResponse;
    /// The list as a file.
    registry.export_agencies(v1::ExportAgenciesRequest) -> v1::ExportAgenciesResponse;
    /// Makes the next published version (registrars).
    registry.publish(v1::PublishRequest) -> v1::Publication;
    /// The published versions.
    registry.list_publications(v1::ListPublicationsRequest) -> v1::ListPublicationsResponse;
    /// Notes that a version was sent to the ministry (registrars).
    registry.mark_sent(v1::MarkSentRequest) -> v1::Publication;
    /// What differs between two published versions.
    registry.diff_publications(v1::DiffPublicationsRequest) -> v1::DiffRegistryResponse;
    /// Compares with another list (registrars).
    registry.compare_list(v1::CompareListRequest) -> v1::CompareListResponse;
    /// Codes in packages that nobody registered.
    registry.list_unknown(v1::ListUnknownRequest) -> v1::ListUnknownResponse;
    /// Gives agencies to a system from a moment on (operators).
    registry.serve_agencies(v1::ServeAgenciesRequest) -> v1::ServeAgenciesResponse;
    /// Who serves an agency, from when to when.
    registry.list_service(v1::ListServiceRequest) -> v1::ListServiceResponse;
    /// Suspends a system or lets it in again (operators).
    registry.suspend_system(v1::SuspendSystemRequest) -> v1::SystemRecord;
    registry.set_system_limits(v1::SetSystemLimitsRequest) -> v1::SystemRecord;
    /// Keys and pins that are due for a change (operators).
    registry.list_due(v1::ListDueRequest) -> v1::ListDueResponse;
    /// Gives a person an account (operators).
    access.add_account(v1::AddAccountRequest) -> v1::AddAccountResponse;
    /// All accounts.
    access.list_accounts(v1::ListAccountsRequest) -> v1::ListAccountsResponse;
    /// Ends an account (operators).
    access.revoke_account(v1::RevokeAccountRequest) -> v1::Account;
    /// Who calls, and what it may call.
    access.who_am_i(v1::WhoAmIRequest) -> v1::WhoAmIResponse;
    /// How the axis is (operators).
    operations.info(v1::InfoRequest) -> v1::InfoResponse;
    /// What waits, per agency, or per system and lane (operators).
    operations.queues(v1::QueuesRequest) -> v1::QueuesResponse;
    /// Why something has not reached its receiver (operators).
    operations.why(v1::WhyRequest) -> v1::WhyResponse;
    /// Pauses delivery to an agency or a system (operators).
    operations.pause(v1::PauseRequest) -> v1::PauseResponse;
    /// Ends a pause (operators).
    operations.resume(v1::ResumeRequest) -> v1::ResumeResponse;
    /// Dead deliveries, page by page (operators).
    operations.list_dead(v1::ListDeadRequest) -> v1::ListDeadResponse;
    /// Offers dead deliveries again (operators).
    operations.retry_dead(v1::RetryDeadRequest) -> v1::RetryDeadResponse;
    /// Gives dead deliveries up for good (operators).
    operations.drop_dead(v1::DropDeadRequest) -> v1::DropDeadResponse;
    /// Opens a new round of deliveries (operators).
    operations.redeliver(v1::RedeliverRequest) -> v1::RedeliverResponse;
    /// What agencies owe: not fetched, not answered, due (operators).
    operations.list_reminders(v1::ListRemindersRequest) -> v1::ListRemindersResponse;
    /// Delivers recalls that are not answered once more (operators).
    operations.remind(v1::RemindRequest) -> v1::RemindResponse;
    /// Removes the content of an approved list of packages (operators).
    operations.remove(v1::RemoveRequest) -> v1::RemoveResponse;
    /// Alerts that stand, or all there were (operators).
    operations.alerts(v1::AlertsRequest) -> v1::AlertsResponse;
    /// Checks the running axis's journal (operators).
    operations.verify(v1::VerifyRequest) -> v1::VerifyResponse;
}

impl Client {
    /// Connects to an axis.
    ///
    /// # Errors
    /// [`Error::Options`], [`Error::Tls`], [`Error::Unreachable`], [`Error::TimedOut`]. Whether
    /// the credentials are right shows at the first call.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let mut identity = Identity::default();
        let shown = match &options.credentials {
            Credentials::Key { system, key } => Some((SYSTEM, system, key)),
            Credentials::Account { account, key } => Some((ACCOUNT, account, key)),
            Credentials::None | Credentials::Certificate { .. } => None,
        };
        if let Some((name, who, key)) = shown {
            let value = |name, text: &str| {
                let reason = || "it has characters that no id or key has".to_owned();
                AsciiMetadataValue::try_from(text.trim()).map_err(|_| Error::Options {
                    name,
                    reason: reason(),
                })
            };
            let mut secret = value("key", key)?;
            // Kept out of logs and of the header compression's memory.
            secret.set_sensitive(true);
            let what = if name == SYSTEM { "system" } else { "account" };
            identity.key = Some((name, value(what, who)?, secret));
        }
        let channel = connect::tcp(options).await?;
        Ok(Self::over(
            channel,
            identity,
            options.server.clone(),
            options.timeout,
        ))
    }

    /// Connects to the admin socket of a data folder as an operator; `by` is the person who
    /// acts, as the record will name them.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if no axis runs there, [`Error::TimedOut`].
    pub async fn connect_admin(
        data: &Path,
        by: &str,
        timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        let channel = connect::socket(data, timeout).await?;
        let by = (!by.is_empty()).then(|| BinaryMetadataValue::from_bytes(by.as_bytes()));
        let identity = Identity { key: None, by };
        let target = admin::path(data).display().to_string();
        Ok(Self::over(channel, identity, target, timeout))
    }

    fn over(
        channel: Channel,
        identity: Identity,
        target: String,
        timeout: Option<Duration>,
    ) -> Self {
        let link = InterceptedService::new(channel.clone(), identity);
        Self {
            link,
            channel,
            target,
            timeout,
        }
    }

    /// Where calls go, for messages.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Pushes a package of at most [`PUSH_MAX`](crate::PUSH_MAX) bytes in one message.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn push(
        &self,
        package: Bytes,
        options: v1::PushOptions,
    ) -> Result<v1::Receipt, Error> {
        let request = v1::PushRequest {
            package,
            options: Some(options),
        };
        let mut service = self.exchange();
        self.ask(service.push(self.request(request))).await
    }

    /// Whether the axis says that it serves.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn serving(&self) -> Result<bool, Error> {
        use tonic_health::pb::health_check_response::ServingStatus;
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        let mut health = HealthClient::new(self.channel.clone());
        let request = self.request(HealthCheckRequest::default());
        let answer = self.ask(health.check(request)).await?;
        Ok(answer.status() == ServingStatus::Serving)
    }

    /// Statuses as they come. The stream has no time limit; the answer that opens it has.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn watch_statuses(&self, request: v1::WatchRequest) -> Result<StatusWatch, Error> {
        let mut service = self.status();
        let responses = self.ask(service.watch(Request::new(request))).await?;
        Ok(StatusWatch {
            client: self.clone(),
            responses,
        })
    }

    fn exchange(&self) -> ExchangeServiceClient<Link> {
        ExchangeServiceClient::new(self.link.clone()).max_decoding_message_size(ANSWER)
    }

    fn status(&self) -> StatusServiceClient<Link> {
        StatusServiceClient::new(self.link.clone()).max_decoding_message_size(ANSWER)
    }

    fn history(&self) -> HistoryServiceClient<Link> {
        HistoryServiceClient::new(self.link.clone()).max_decoding_message_size(ANSWER)
    }

    fn registry(&self) -> RegistryServiceClient<Link> {
        RegistryServiceClient::new(self.link.clone()).max_decoding_message_size(ANSWER)
    }

    fn access(&self) -> AccessServiceClient<Link> {
        AccessServiceClient::new(self.link.clone()).max_decoding_message_size(ANSWER)
    }

    fn operations(&self) -> OperationsServiceClient<Link> {
        OperationsServiceClient::new(self.link.clone()).max_decoding_message_size(ANSWER)
    }

    /// A request that tells the axis the time limit.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    /// One answer, within the time limit.
    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Error> {
        Ok(self.within(call).await?.into_inner())
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        let answered = match self.timeout {
            None => call.await,
            Some(after) => match tokio::time::timeout(after, call).await {
                Ok(answered) => answered,
                Err(_) => {
                    return Err(Error::TimedOut {
                        target: self.target.clone(),
                        after,
                    });
                }
            },
        };
        answered.map_err(|status| self.failed(status))
    }

    fn failed(&self, status: Status) -> Error {
        Error::from_status(&self.target, self.timeout, status)
    }
}

/// Statuses as they come.
#[derive(Debug)]
pub struct StatusWatch {
    client: Client,
    responses: tonic::Streaming<v1::WatchResponse>,
}

impl StatusWatch {
    /// The next message; `None` if the axis ended the stream in good order.
    ///
    /// # Errors
    /// [`Error`]; the last token resumes.
    pub async fn next(&mut self) -> Result<Option<v1::WatchResponse>, Error> {
        let next = self.responses.message().await;
        next.map_err(|status| self.client.failed(status))
    }
}
