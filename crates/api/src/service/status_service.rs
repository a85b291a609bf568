//! `StatusService`: processing statuses of documents.

use exchange::{DocumentRef, Recall, Report, Staff};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use tracing::Span;
use tracing::field::display;

use super::{Core, answer, tell, watch};
use crate::v1::status_service_server::StatusService;
use crate::{caller, convert, refused, v1};

/// Who answers for a status.
fn staff(told: Option<v1::Staff>) -> Staff {
    let told = told.unwrap_or_default();
    Staff {
        department: told.department,
        name: told.name,
        mobile: told.mobile,
        email: told.email,
    }
}

#[tonic::async_trait]
impl StatusService for Core {
    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let request = request.into_inner();
        let report = Report {
            code: request.code,
            document_id: request.document_id,
            to: request.to,
            from: request.from.filter(|from| !from.is_empty()),
            reason: request.reason,
            staff: staff(request.staff),
        };
        let receipt = self.exchange.report(&peer, report).await.map_err(tell)?;
        Span::current().record("package", display(receipt.package));
        Ok(Response::new(convert::receipt(receipt)))
    }

    async fn recall(
        &self,
        request: Request<v1::RecallRequest>,
    ) -> Result<Response<v1::RecallResponse>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let request = request.into_inner();
        let recall = Recall {
            document_id: request.document_id.clone(),
            to: request.to,
            from: request.from.filter(|from| !from.is_empty()),
            reason: request.reason,
            staff: staff(request.staff),
        };
        let recalled = self.exchange.recall(&peer, recall).await;
        answer(recalled.map(|(sender, receivers)| {
            let receivers = receivers.into_iter().map(|of| v1::RecalledReceiver {
                receiver: Some(convert::agency(of.receiver)),
                package_id: of.package.to_string(),
                answer: of.answer.word().to_owned(),
            });
            v1::RecallResponse {
                document_id: request.document_id,
                sender: Some(convert::agency(sender)),
                receivers: receivers.collect(),
            }
        }))
    }

    async fn matrix(
        &self,
        request: Request<v1::MatrixRequest>,
    ) -> Result<Response<v1::MatrixResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let v1::MatrixRequest {
            sender,
            document_id,
            package_id,
        } = request.into_inner();
        let document = match (sender.as_str(), document_id.as_str(), package_id.as_str()) {
            ("", "", package) if !package.is_empty() => {
                DocumentRef::Package(convert::package_id(package).map_err(tell)?)
            }
            (of, id, "") if !of.is_empty() && !id.is_empty() => DocumentRef::Document {
                sender,
                document_id,
            },
            _ => {
                return Err(refused::argument(
                    "document_id",
                    "Nêu sender và document_id, hoặc chỉ package_id.",
                    "Name sender and document_id, or package_id alone.",
                ));
            }
        };
        answer(
            self.exchange
                .matrix(&caller, document)
                .await
                .map(convert::matrix),
        )
    }

    type WatchStream = BoxStream<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let watched = self
            .exchange
            .watch_statuses(&caller, &request.get_ref().token)
            .map_err(tell)?;
        Ok(Response::new(watch::stream(self.clone(), watched)))
    }

    async fn list_unmatched(
        &self,
        request: Request<v1::ListUnmatchedRequest>,
    ) -> Result<Response<v1::ListUnmatchedResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let v1::ListUnmatchedRequest {
            page_size,
            page_token,
        } = request.into_inner();
        let page = self
            .exchange
            .unmatched(&caller, page_size, &page_token)
            .await;
        answer(page.map(|page| v1::ListUnmatchedResponse {
            statuses: page.items.into_iter().map(convert::unmatched).collect(),
            next_page_token: page.next,
        }))
    }
}
