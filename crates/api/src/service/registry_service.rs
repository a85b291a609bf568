//! `RegistryService`: agencies and systems. Systems may read, operators change.

use exchange::Caller;
use ledger::id::SystemId;
use tonic::{Request, Response, Status};

use super::{Core, answer, lists, tell};
use crate::certificate::Certificate;
use crate::v1::registry_service_server::RegistryService;
use crate::{caller, convert, refused, v1};

/// Agencies on a page when nothing is said.
const USUAL_PAGE: u32 = 1_000;

/// Of a call whose rules are not in this build yet.
fn later() -> Status {
    Status::unimplemented("this call is not in this build yet")
}

#[tonic::async_trait]
impl RegistryService for Core {
    async fn list_agencies(
        &self,
        request: Request<v1::ListAgenciesRequest>,
    ) -> Result<Response<v1::ListAgenciesResponse>, Status> {
        let request = request.into_inner();
        let size = convert::page_size(request.page_size, USUAL_PAGE).map_err(tell)?;
        let page = self
            .exchange
            .agencies(&request.search, size, &request.page_token);
        answer(page.map(|page| v1::ListAgenciesResponse {
            agencies: page.items.into_iter().map(convert::agency_record).collect(),
            next_page_token: page.next,
            version: 0,
        }))
    }

    async fn get_agency(
        &self,
        request: Request<v1::GetAgencyRequest>,
    ) -> Result<Response<v1::AgencyRecord>, Status> {
        let agency = self.exchange.agency(&request.get_ref().code);
        answer(agency.map(convert::agency_record))
    }

    async fn import_agencies(
        &self,
        request: Request<v1::ImportAgenciesRequest>,
    ) -> Result<Response<v1::ImportAgenciesResponse>, Status> {
        let operator = caller::operator_of(request.extensions())
            .map_err(tell)?
            .clone();
        let v1::ImportAgenciesRequest {
            csv,
            dry_run,
            decision,
            ..
        } = request.into_inner();
        let imported = self
            .exchange
            .import_agencies(&operator, csv, &decision, dry_run)
            .await;
        answer(imported.map(convert::imported))
    }

    async fn list_systems(
        &self,
        request: Request<v1::ListSystemsRequest>,
    ) -> Result<Response<v1::ListSystemsResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?;
        // Keys and pins of others are none of a system's business.
        let entitled = |id: &SystemId| match caller {
            Caller::System(peer) => peer.system() == id,
            Caller::Operator(_) => true,
        };
        let systems = self
            .exchange
            .systems()
            .into_iter()
            .filter(|system| entitled(&system.id));
        let systems = systems.map(convert::system_record).collect();
        Ok(Response::new(v1::ListSystemsResponse { systems }))
    }

    async fn add_system(
        &self,
        request: Request<v1::AddSystemRequest>,
    ) -> Result<Response<v1::AddSystemResponse>, Status> {
        let operator = caller::operator_of(request.extensions())
            .map_err(tell)?
            .clone();
        let system = convert::new_system(request.into_inner());
        let added = self.exchange.add_system(&operator, system).await;
        answer(added.map(|(system, key)| {
            v1::AddSystemResponse {
                broker: self
                    .exchange
                    .broker_access(&system)
                    .as_ref()
                    .map(convert::broker_access),
                system: Some(convert::system_record(system)),
                key: key.unwrap_or_default(),
            }
        }))
    }

    async fn add_system_key(
        &self,
        request: Request<v1::AddSystemKeyRequest>,
    ) -> Result<Response<v1::AddSystemKeyResponse>, Status> {
        let operator = caller::operator_of(request.extensions())
            .map_err(tell)?
            .clone();
        let v1::AddSystemKeyRequest { id, .. } = request.into_inner();
        let added = self.exchange.add_key(&operator, &id).await;
        answer(added.map(|(key_id, key)| v1::AddSystemKeyResponse { key, key_id }))
    }

    async fn pin_certificate(
        &self,
        request: Request<v1::PinCertificateRequest>,
    ) -> Result<Response<v1::PinCertificateResponse>, Status> {
        let operator = caller::operator_of(request.extensions())
            .map_err(tell)?
            .clone();
        let v1::PinCertificateRequest {
            id, certificate, ..
        } = request.into_inner();
        let Certificate {
            spki_sha256,
            subject,
        } = Certificate::read(&certificate).map_err(|error| {
            let vi = "Không đọc được chứng thư: cần đúng một chứng thư dạng DER hoặc PEM.";
            refused::argument("certificate", vi, error.to_string())
        })?;
        let pinned = self
            .exchange
            .pin(&operator, &id, spki_sha256, &subject)
            .await;
        answer(pinned.map(|()| v1::PinCertificateResponse {
            spki_sha256: convert::hex(&spki_sha256),
        }))
    }

    async fn revoke_system(
        &self,
        request: Request<v1::RevokeSystemRequest>,
    ) -> Result<Response<v1::RevokeSystemResponse>, Status> {
        let operator = caller::operator_of(request.extensions())
            .map_err(tell)?
            .clone();
        let v1::RevokeSystemRequest {
            id,
            key_id,
            spki_sha256,
        } = request.into_inner();
        let what = convert::revoke(key_id, spki_sha256.as_deref()).map_err(tell)?;
        let revoked = self.exchange.revoke(&operator, &id, what).await;
        answer(revoked.map(|revoked| v1::RevokeSystemResponse {
            keys: revoked.keys,
            pins: revoked.pins,
            streams_cut: revoked.streams_cut,
        }))
    }

    async fn list_changes(
        &self,
        _: Request<v1::ListChangesRequest>,
    ) -> Result<Response<v1::ListChangesResponse>, Status> {
        Err(later())
    }

    async fn diff_registry(
        &self,
        _: Request<v1::DiffRegistryRequest>,
    ) -> Result<Response<v1::DiffRegistryResponse>, Status> {
        Err(later())
    }

    async fn add_agency(
        &self,
        _: Request<v1::AddAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn approve_agency(
        &self,
        _: Request<v1::ApproveAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn change_agency(
        &self,
        _: Request<v1::ChangeAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn suspend_agency(
        &self,
        _: Request<v1::SuspendAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn resume_agency(
        &self,
        _: Request<v1::StateRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn close_agency(
        &self,
        _: Request<v1::CloseAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn reopen_agency(
        &self,
        _: Request<v1::StateRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn merge_agencies(
        &self,
        _: Request<v1::MergeAgenciesRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn split_agency(
        &self,
        _: Request<v1::SplitAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn withdraw_change(
        &self,
        _: Request<v1::WithdrawChangeRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        Err(later())
    }

    async fn export_agencies(
        &self,
        request: Request<v1::ExportAgenciesRequest>,
    ) -> Result<Response<v1::ExportAgenciesResponse>, Status> {
        lists::export(self, request).await
    }

    async fn publish(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<Response<v1::Publication>, Status> {
        lists::publish(self, request).await
    }

    async fn list_publications(
        &self,
        request: Request<v1::ListPublicationsRequest>,
    ) -> Result<Response<v1::ListPublicationsResponse>, Status> {
        lists::publications(self, request).await
    }

    async fn mark_sent(
        &self,
        request: Request<v1::MarkSentRequest>,
    ) -> Result<Response<v1::Publication>, Status> {
        lists::mark_sent(self, request).await
    }

    async fn diff_publications(
        &self,
        request: Request<v1::DiffPublicationsRequest>,
    ) -> Result<Response<v1::DiffRegistryResponse>, Status> {
        lists::difference(self, request).await
    }

    async fn compare_list(
        &self,
        request: Request<v1::CompareListRequest>,
    ) -> Result<Response<v1::CompareListResponse>, Status> {
        lists::compare(self, request).await
    }

    async fn list_unknown(
        &self,
        request: Request<v1::ListUnknownRequest>,
    ) -> Result<Response<v1::ListUnknownResponse>, Status> {
        lists::unknown(self, request).await
    }

    async fn serve_agencies(
        &self,
        _: Request<v1::ServeAgenciesRequest>,
    ) -> Result<Response<v1::ServeAgenciesResponse>, Status> {
        Err(later())
    }

    async fn list_service(
        &self,
        _: Request<v1::ListServiceRequest>,
    ) -> Result<Response<v1::ListServiceResponse>, Status> {
        Err(later())
    }

    async fn suspend_system(
        &self,
        _: Request<v1::SuspendSystemRequest>,
    ) -> Result<Response<v1::SystemRecord>, Status> {
        Err(later())
    }

    async fn list_due(
        &self,
        _: Request<v1::ListDueRequest>,
    ) -> Result<Response<v1::ListDueResponse>, Status> {
        Err(later())
    }
}
