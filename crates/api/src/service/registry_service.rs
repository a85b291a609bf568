//! `RegistryService`: agencies and systems. Systems may read, operators change.

use std::time::Duration;

use exchange::refusal::{Name, Refusal};
use exchange::{AgencyEdit, AgencySearch, Caller, Closing, Operator, Role, Successor};
use ledger::id::SystemId;
use tonic::{Request, Response, Status};

use super::{Core, answer, asked, lists, tell};
use crate::certificate::Certificate;
use crate::v1::registry_service_server::RegistryService;
use crate::{caller, convert, refused, v1};

/// Agencies on a page when nothing is said.
const USUAL_PAGE: u32 = 1_000;

impl Core {
    /// An agency's admin changes the keys of a system that serves its agencies alone.
    fn may_change(&self, operator: &Operator, system: &str) -> Result<(), Refusal> {
        if operator.role != Role::AgencyAdmin || self.exchange.looks_after(operator, system) {
            return Ok(());
        }
        Err(Refusal::new(Name::PermissionDenied).at(
            "id",
            format!(
                "Hệ thống {system:?} phục vụ cả cơ quan khác, ngoài các cơ quan của tài khoản này."
            ),
            format!("The system {system:?} serves others than this account's agencies."),
        ))
    }
}

#[tonic::async_trait]
impl RegistryService for Core {
    async fn list_agencies(
        &self,
        request: Request<v1::ListAgenciesRequest>,
    ) -> Result<Response<v1::ListAgenciesResponse>, Status> {
        let request = request.into_inner();
        let size = convert::page_size(request.page_size, USUAL_PAGE).map_err(tell)?;
        let asked = AgencySearch {
            search: request.search,
            as_of: convert::moment("as_of", &request.as_of).map_err(tell)?,
            states: request.states,
            parent: request.parent,
        };
        let version = self.exchange.registry(None).version();
        let page = self.exchange.agencies(&asked, size, &request.page_token);
        answer(page.map(|page| v1::ListAgenciesResponse {
            agencies: page.items.into_iter().map(convert::agency_record).collect(),
            next_page_token: page.next,
            version,
        }))
    }

    async fn get_agency(
        &self,
        request: Request<v1::GetAgencyRequest>,
    ) -> Result<Response<v1::AgencyRecord>, Status> {
        let request = request.get_ref();
        let as_of = convert::moment("as_of", &request.as_of).map_err(tell)?;
        let agency = self.exchange.agency(&request.code, as_of);
        answer(agency.map(convert::agency_record))
    }

    async fn import_agencies(
        &self,
        request: Request<v1::ImportAgenciesRequest>,
    ) -> Result<Response<v1::ImportAgenciesResponse>, Status> {
        let (operator, request) = asked(request)?;
        let (file, order) = convert::import_order(request).map_err(tell)?;
        let imported = self.exchange.import_agencies(&operator, file, order).await;
        answer(imported.map(convert::imported))
    }

    async fn list_systems(
        &self,
        request: Request<v1::ListSystemsRequest>,
    ) -> Result<Response<v1::ListSystemsResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?;
        // Keys and pins of others are none of a system's business, nor of an agency's admin.
        let entitled = |id: &SystemId| match caller {
            Caller::System(peer) => peer.system() == id,
            Caller::Operator(person) => {
                person.role != Role::AgencyAdmin || self.exchange.looks_after(person, id.as_str())
            }
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
        let (operator, request) = asked(request)?;
        let system = convert::new_system(request);
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
        let (operator, request) = asked(request)?;
        self.may_change(&operator, &request.id).map_err(tell)?;
        let overlap = request.overlap_seconds.map(Duration::from_secs);
        let added = self.exchange.add_key(&operator, &request.id, overlap).await;
        answer(added.map(|(key_id, key)| v1::AddSystemKeyResponse { key, key_id }))
    }

    async fn pin_certificate(
        &self,
        request: Request<v1::PinCertificateRequest>,
    ) -> Result<Response<v1::PinCertificateResponse>, Status> {
        let (operator, request) = asked(request)?;
        self.may_change(&operator, &request.id).map_err(tell)?;
        let overlap = request.overlap_seconds.map(Duration::from_secs);
        let Certificate {
            spki_sha256,
            subject,
        } = Certificate::read(&request.certificate).map_err(|error| {
            let vi = "Không đọc được chứng thư: cần đúng một chứng thư dạng DER hoặc PEM.";
            refused::argument("certificate", vi, error.to_string())
        })?;
        let pinned = self
            .exchange
            .pin(&operator, &request.id, spki_sha256, &subject, overlap)
            .await;
        answer(pinned.map(|()| v1::PinCertificateResponse {
            spki_sha256: convert::hex(&spki_sha256),
        }))
    }

    async fn revoke_system(
        &self,
        request: Request<v1::RevokeSystemRequest>,
    ) -> Result<Response<v1::RevokeSystemResponse>, Status> {
        let (
            operator,
            v1::RevokeSystemRequest {
                id,
                key_id,
                spki_sha256,
            },
        ) = asked(request)?;
        self.may_change(&operator, &id).map_err(tell)?;
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
        request: Request<v1::ListChangesRequest>,
    ) -> Result<Response<v1::ListChangesResponse>, Status> {
        let request = request.into_inner();
        let size = match request.page_size {
            0 => 100,
            size => size.min(1_000),
        };
        let since = convert::moment("since", &request.since).map_err(tell)?;
        let code = (!request.code.is_empty()).then_some(request.code.as_str());
        let page = self.exchange.changes(
            code,
            since,
            request.planned_only,
            size as usize,
            &request.page_token,
        );
        answer(page.map(|page| v1::ListChangesResponse {
            changes: page.items.into_iter().map(convert::change).collect(),
            next_page_token: page.next,
        }))
    }

    async fn diff_registry(
        &self,
        request: Request<v1::DiffRegistryRequest>,
    ) -> Result<Response<v1::DiffRegistryResponse>, Status> {
        let request = request.into_inner();
        let from = convert::moment("from", &request.from).map_err(tell)?;
        let to = convert::moment("to", &request.to).map_err(tell)?;
        let size = convert::page_size(request.page_size, USUAL_PAGE).map_err(tell)?;
        let page = self
            .exchange
            .differences(from, to, size, &request.page_token);
        answer(page.map(|page| v1::DiffRegistryResponse {
            agencies: page.items.into_iter().map(convert::difference).collect(),
            next_page_token: page.next,
        }))
    }

    async fn add_agency(
        &self,
        request: Request<v1::AddAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let facts = convert::agency_facts(request.agency);
        let acted = self
            .exchange
            .add_agency(&operator, &order, &facts, request.requested)
            .await;
        answer(acted.map(convert::act))
    }

    async fn approve_agency(
        &self,
        request: Request<v1::ApproveAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let acted = self
            .exchange
            .approve_agency(&operator, &order, &request.code, request.activate)
            .await;
        answer(acted.map(convert::act))
    }

    async fn change_agency(
        &self,
        request: Request<v1::ChangeAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let edit = AgencyEdit {
            name: request.name,
            code: request.new_code,
            code_2020: request.new_code_2020,
            drop_old_codes: request.drop_old_codes,
            parent: request.parent,
            kind: request.kind,
            level: request.level,
            contact: request.contact,
            centre: request.centre,
            forwards_to_successor: request.forwards_to_successor,
            irregular: request.irregular,
        };
        let acted = self
            .exchange
            .change_agency(&operator, &order, &request.code, &edit)
            .await;
        answer(acted.map(convert::act))
    }

    async fn suspend_agency(
        &self,
        request: Request<v1::SuspendAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let acted = self
            .exchange
            .suspend_agency(&operator, &order, &request.code, request.fetches_nothing)
            .await;
        answer(acted.map(convert::act))
    }

    async fn resume_agency(
        &self,
        request: Request<v1::StateRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let acted = self
            .exchange
            .resume_agency(&operator, &order, &request.code)
            .await;
        answer(acted.map(convert::act))
    }

    async fn close_agency(
        &self,
        request: Request<v1::CloseAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let deliveries = convert::open_deliveries(request.deliveries());
        let order = convert::order(request.order).map_err(tell)?;
        let closing = Closing {
            successors: request.successors,
            forward: request.forward,
            deliveries,
            children: convert::children(request.close_children, request.children_to)
                .map_err(tell)?,
        };
        let acted = self
            .exchange
            .close_agency(&operator, &order, &request.code, &closing)
            .await;
        answer(acted.map(convert::act))
    }

    async fn reopen_agency(
        &self,
        request: Request<v1::StateRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let acted = self
            .exchange
            .reopen_agency(&operator, &order, &request.code)
            .await;
        answer(acted.map(convert::act))
    }

    async fn merge_agencies(
        &self,
        request: Request<v1::MergeAgenciesRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let deliveries = convert::open_deliveries(request.deliveries());
        let order = convert::order(request.order).map_err(tell)?;
        let into = match (request.into, request.new_agency) {
            (into, None) if !into.is_empty() => Successor::Known(into),
            (into, Some(new)) if into.is_empty() => {
                Successor::New(Box::new(convert::agency_facts(Some(new))))
            }
            _ => {
                return Err(refused::argument(
                    "into",
                    "Nêu đúng một: cơ quan nhận đã có (into) hoặc cơ quan mới (new_agency).",
                    "Name exactly one: an agency that is there (into) or a new one (new_agency).",
                ));
            }
        };
        let forward = request.forward;
        let acted = self
            .exchange
            .merge_agencies(
                &operator,
                &order,
                &request.sources,
                &into,
                forward,
                deliveries,
            )
            .await;
        answer(acted.map(convert::act))
    }

    async fn split_agency(
        &self,
        request: Request<v1::SplitAgencyRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let deliveries = convert::open_deliveries(request.deliveries());
        let order = convert::order(request.order).map_err(tell)?;
        let new = request.new_agencies.into_iter();
        let new = new.map(|new| Successor::New(Box::new(convert::agency_facts(Some(new)))));
        let into: Vec<_> = request
            .into
            .into_iter()
            .map(Successor::Known)
            .chain(new)
            .collect();
        let under = convert::children(false, request.children_to).map_err(tell)?;
        let goes_on = request.goes_on;
        let acted = self
            .exchange
            .split_agency(
                &operator,
                &order,
                &request.source,
                &into,
                goes_on,
                deliveries,
                &under,
            )
            .await;
        answer(acted.map(convert::act))
    }

    async fn withdraw_change(
        &self,
        request: Request<v1::WithdrawChangeRequest>,
    ) -> Result<Response<v1::ChangeAgencyResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let number = u32::try_from(request.number).unwrap_or(u32::MAX);
        let acted = self
            .exchange
            .withdraw_change(&operator, &order, &request.code, number)
            .await;
        answer(acted.map(convert::act))
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
        request: Request<v1::ServeAgenciesRequest>,
    ) -> Result<Response<v1::ServeAgenciesResponse>, Status> {
        let (operator, request) = asked(request)?;
        let order = convert::order(request.order).map_err(tell)?;
        let until = convert::moment("until", &request.until).map_err(tell)?;
        let periods = self
            .exchange
            .serve_agencies(&operator, &order, &request.id, &request.agencies, until)
            .await;
        answer(periods.map(|periods| v1::ServeAgenciesResponse {
            periods: periods.into_iter().map(convert::period).collect(),
        }))
    }

    async fn list_service(
        &self,
        request: Request<v1::ListServiceRequest>,
    ) -> Result<Response<v1::ListServiceResponse>, Status> {
        let periods = self.exchange.service_of(&request.get_ref().code);
        answer(periods.map(|periods| v1::ListServiceResponse {
            periods: periods.into_iter().map(convert::period).collect(),
        }))
    }

    async fn set_system_limits(
        &self,
        request: Request<v1::SetSystemLimitsRequest>,
    ) -> Result<Response<v1::SystemRecord>, Status> {
        let (operator, request) = asked(request)?;
        let change = convert::change_of_limits(&request).map_err(tell)?;
        let system = self
            .exchange
            .set_limits(&operator, &request.id, change, &request.why)
            .await;
        answer(system.map(convert::system_record))
    }

    async fn suspend_system(
        &self,
        request: Request<v1::SuspendSystemRequest>,
    ) -> Result<Response<v1::SystemRecord>, Status> {
        let (operator, request) = asked(request)?;
        let system = self
            .exchange
            .suspend_system(&operator, &request.id, request.suspended, &request.why)
            .await;
        answer(system.map(convert::system_record))
    }

    async fn list_due(
        &self,
        request: Request<v1::ListDueRequest>,
    ) -> Result<Response<v1::ListDueResponse>, Status> {
        let or = |given: u32, usual| if given == 0 { usual } else { given };
        let request = request.get_ref();
        let due = self.exchange.due(
            or(request.older_than_days, 365),
            or(request.ending_within_days, 30),
        );
        Ok(Response::new(v1::ListDueResponse {
            due: due.into_iter().map(convert::due).collect(),
        }))
    }
}
