//! `OperationsService`: the operator's door.

use exchange::Redeliver;
use tonic::{Request, Response, Status};

use super::{Core, answer, tell};
use crate::v1::operations_service_server::OperationsService;
use crate::v1::redeliver_request::What;
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
        let agency = request.into_inner().agency.filter(|code| !code.is_empty());
        let queues = self.exchange.queues(&caller, agency.as_deref());
        answer(queues.map(|queues| v1::QueuesResponse {
            queues: queues.into_iter().map(convert::queue).collect(),
        }))
    }

    async fn redeliver(
        &self,
        request: Request<v1::RedeliverRequest>,
    ) -> Result<Response<v1::RedeliverResponse>, Status> {
        let operator = caller::operator_of(request.extensions())
            .map_err(tell)?
            .clone();
        let v1::RedeliverRequest { what, why } = request.into_inner();
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

    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        caller::operator_of(request.extensions()).map_err(tell)?;
        let v1::VerifyRequest { anchors } = request.into_inner();
        answer(self.exchange.verify(&anchors).await.map(convert::verified))
    }
}
