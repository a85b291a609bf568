//! `OperationsService`: the operator's door.

use exchange::{DocumentRef, Redeliver, Remind, Revival};
use tonic::{Request, Response, Status};

use super::{Core, answer, asked, tell};
use crate::v1::operations_service_server::OperationsService;
use crate::v1::redeliver_request::What;
use crate::v1::remind_request::Whom;
use crate::{caller, convert, refused, v1};

#[tonic::async_trait]
impl OperationsService for Core {
    async fn info(
        &self,
        request: Request<v1::InfoRequest>,
    ) -> Result<Response<v1::InfoResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let info = self.exchange.info();
        Ok(Response::new(convert::info(
            info,
            &self.version,
            &self.build,
        )))
    }

    async fn queues(
        &self,
        request: Request<v1::QueuesRequest>,
    ) -> Result<Response<v1::QueuesResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let asked = convert::queues_asked(request.into_inner());
        let page = self.exchange.queues(&caller, &asked);
        answer(page.map(|page| v1::QueuesResponse {
            queues: page.items.into_iter().map(convert::queue).collect(),
            next_page_token: page.next,
        }))
    }

    async fn why(
        &self,
        request: Request<v1::WhyRequest>,
    ) -> Result<Response<v1::WhyResponse>, Status> {
        let (operator, v1::WhyRequest { id }) = asked(request)?;
        answer(self.exchange.why(&operator, &id).await.map(convert::why))
    }

    async fn pause(
        &self,
        request: Request<v1::PauseRequest>,
    ) -> Result<Response<v1::PauseResponse>, Status> {
        let (operator, v1::PauseRequest { whom, why }) = asked(request)?;
        let paused = self.exchange.pause(&operator, &whom, &why).await;
        answer(paused.map(|pause| v1::PauseResponse {
            pause: Some(convert::pause(pause)),
        }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let (operator, v1::ResumeRequest { whom, why }) = asked(request)?;
        let over = self.exchange.resume(&operator, &whom, &why).await;
        answer(over.map(|pause| v1::ResumeResponse {
            pause: Some(convert::pause(pause)),
        }))
    }

    async fn list_dead(
        &self,
        request: Request<v1::ListDeadRequest>,
    ) -> Result<Response<v1::ListDeadResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let v1::ListDeadRequest {
            agency,
            page_size,
            page_token,
        } = request.into_inner();
        let agency = agency.filter(|code| !code.is_empty());
        let page = self
            .exchange
            .dead(agency.as_deref(), page_size, &page_token);
        answer(page.await.map(|page| v1::ListDeadResponse {
            deliveries: page.items.into_iter().map(convert::dead).collect(),
            next_page_token: page.next,
        }))
    }

    async fn retry_dead(
        &self,
        request: Request<v1::RetryDeadRequest>,
    ) -> Result<Response<v1::RetryDeadResponse>, Status> {
        let (operator, v1::RetryDeadRequest { delivery_ids, why }) = asked(request)?;
        let ids = convert::delivery_ids(&delivery_ids).map_err(tell)?;
        let revived = self.exchange.revive(&operator, &ids, Revival::Retry, &why);
        answer(revived.await.map(|revived| {
            let (delivery_ids, skipped) = convert::revived(revived);
            v1::RetryDeadResponse {
                delivery_ids,
                skipped,
            }
        }))
    }

    async fn drop_dead(
        &self,
        request: Request<v1::DropDeadRequest>,
    ) -> Result<Response<v1::DropDeadResponse>, Status> {
        let (operator, v1::DropDeadRequest { delivery_ids, why }) = asked(request)?;
        let ids = convert::delivery_ids(&delivery_ids).map_err(tell)?;
        let revived = self.exchange.revive(&operator, &ids, Revival::Drop, &why);
        answer(revived.await.map(|revived| {
            let (delivery_ids, skipped) = convert::revived(revived);
            v1::DropDeadResponse {
                delivery_ids,
                skipped,
            }
        }))
    }

    async fn redeliver(
        &self,
        request: Request<v1::RedeliverRequest>,
    ) -> Result<Response<v1::RedeliverResponse>, Status> {
        let (operator, v1::RedeliverRequest { what, why }) = asked(request)?;
        let what = match what {
            Some(What::PackageId(id)) => {
                Redeliver::Package(convert::package_id(&id).map_err(tell)?)
            }
            Some(What::Agency(v1::AgencySince { code, since })) => {
                let since = convert::moment("since", &since).map_err(tell)?;
                let since = since.ok_or_else(|| {
                    let vi = "Nêu thời điểm bắt đầu gửi lại.";
                    refused::argument("since", vi, "Say from when on to deliver again.")
                })?;
                Redeliver::Agency { code, since }
            }
            None => {
                return Err(refused::argument(
                    "what",
                    "Nêu một gói tin, hoặc một cơ quan và thời điểm.",
                    "Name a package, or an agency and a time.",
                ));
            }
        };
        answer(
            self.exchange
                .redeliver(&operator, what, &why)
                .await
                .map(convert::redelivered),
        )
    }

    async fn list_reminders(
        &self,
        request: Request<v1::ListRemindersRequest>,
    ) -> Result<Response<v1::ListRemindersResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let reminders = self.exchange.reminders().await;
        answer(reminders.map(|reminders| v1::ListRemindersResponse {
            reminders: reminders.into_iter().map(convert::reminder).collect(),
        }))
    }

    async fn remind(
        &self,
        request: Request<v1::RemindRequest>,
    ) -> Result<Response<v1::RemindResponse>, Status> {
        let (operator, v1::RemindRequest { whom, why }) = asked(request)?;
        let whom = match whom {
            Some(Whom::Agency(code)) => Remind::Agency(code),
            Some(Whom::PackageId(id)) => {
                let id = convert::package_id(&id).map_err(tell)?;
                Remind::Document(DocumentRef::Package(id))
            }
            Some(Whom::Document(v1::DocumentName {
                sender,
                document_id,
            })) => Remind::Document(DocumentRef::Document {
                sender,
                document_id,
            }),
            None => {
                return Err(refused::argument(
                    "whom",
                    "Nêu cơ quan, gói tin hoặc văn bản cần nhắc.",
                    "Name an agency, a package or a document.",
                ));
            }
        };
        let reminded = self.exchange.remind(&operator, whom, &why).await;
        answer(reminded.map(convert::reminded))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveRequest>,
    ) -> Result<Response<v1::RemoveResponse>, Status> {
        let (operator, request) = asked(request)?;
        let v1::RemoveRequest {
            package_ids,
            decision,
        } = request;
        let ids = package_ids.iter().map(|id| convert::package_id(id));
        let ids = ids.collect::<Result<Vec<_>, _>>().map_err(tell)?;
        let removals = self.exchange.remove(&operator, ids, &decision).await;
        answer(removals.map(convert::removals))
    }

    async fn alerts(
        &self,
        request: Request<v1::AlertsRequest>,
    ) -> Result<Response<v1::AlertsResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let asked = request.into_inner();
        if !asked.all {
            let standing = self.exchange.standing_alerts();
            return Ok(Response::new(convert::standing_alerts(standing)));
        }
        let page = self
            .exchange
            .alert_history(&asked.page_token, asked.page_size);
        answer(page.await.map(convert::alert_page))
    }

    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let v1::VerifyRequest { anchors } = request.into_inner();
        answer(self.exchange.verify(&anchors).await.map(convert::verified))
    }
}
