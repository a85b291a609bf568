//! `HistoryService`: what happened, for those entitled.

use ledger::time::Ms;
use tonic::{Request, Response, Status};

use super::{Core, answer, tell};
use crate::v1::history_service_server::HistoryService;
use crate::{caller, convert, refused, v1};

#[tonic::async_trait]
impl HistoryService for Core {
    async fn search(
        &self,
        request: Request<v1::SearchRequest>,
    ) -> Result<Response<v1::SearchResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let refused = request.get_ref().refused;
        if refused {
            caller::operator_of(request.extensions()).map_err(tell)?;
        }
        let search = convert::search(request.into_inner()).map_err(tell)?;
        let mut response = v1::SearchResponse::default();
        if refused {
            let page = self
                .exchange
                .search_refused(&caller, search)
                .await
                .map_err(tell)?;
            response.refusals = page
                .items
                .into_iter()
                .map(convert::refusal_summary)
                .collect();
            response.next_page_token = page.next;
        } else {
            let page = self.exchange.search(&caller, search).await.map_err(tell)?;
            response.packages = page
                .items
                .into_iter()
                .map(convert::package_summary)
                .collect();
            response.next_page_token = page.next;
        }
        Ok(Response::new(response))
    }

    async fn trace(
        &self,
        request: Request<v1::TraceRequest>,
    ) -> Result<Response<v1::TraceResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let v1::TraceRequest { id } = request.into_inner();
        if id.trim().is_empty() {
            return Err(refused::argument(
                "id",
                "Nêu mã gói tin, mã bản gửi hoặc mã văn bản.",
                "Name a package, a delivery or a document.",
            ));
        }
        answer(
            self.exchange
                .trace(&caller, id.trim())
                .await
                .map(convert::trace),
        )
    }

    async fn list_idle(
        &self,
        request: Request<v1::ListIdleRequest>,
    ) -> Result<Response<v1::ListIdleResponse>, Status> {
        const MONTH: i64 = 30 * 86_400_000;
        let _ = caller::of(request.extensions()).map_err(tell)?;
        let v1::ListIdleRequest { since, until } = request.into_inner();
        let now = self.exchange.info().now;
        let until = convert::end("until", &until).map_err(tell)?.unwrap_or(now);
        let since = convert::moment("since", &since).map_err(tell)?;
        let since = since.unwrap_or_else(|| Ms(until.0.saturating_sub(MONTH)));
        let idle = self.exchange.idle_agencies(since, until).await;
        answer(idle.map(|agencies| v1::ListIdleResponse {
            agencies: agencies.into_iter().map(convert::idle_agency).collect(),
            since: since.iso(),
            until: until.iso(),
        }))
    }

    async fn list_duplicates(
        &self,
        request: Request<v1::ListDuplicatesRequest>,
    ) -> Result<Response<v1::ListDuplicatesResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?.clone();
        let v1::ListDuplicatesRequest {
            agency,
            year,
            page_size,
            page_token,
        } = request.into_inner();
        let search = exchange::NumberSearch {
            agency: agency.filter(|code| !code.is_empty()),
            year,
            page_size,
            page_token,
        };
        let page = self.exchange.repeated_numbers(&caller, search).await;
        answer(page.map(|page| {
            v1::ListDuplicatesResponse {
                numbers: page
                    .items
                    .into_iter()
                    .map(convert::duplicate_number)
                    .collect(),
                next_page_token: page.next,
            }
        }))
    }
}
