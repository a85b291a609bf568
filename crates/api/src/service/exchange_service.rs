//! `ExchangeService`: pushing packages and receiving deliveries.

use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Span;
use tracing::field::display;

use super::{Core, PUSH_MAX, answer, frames, push, subscribe, tell};
use crate::v1::exchange_service_server::ExchangeService;
use crate::{caller, convert, v1};
use exchange::refusal::{Name, Refusal};
use exchange::{FetchFilter, Receipt};

/// Deliveries of one fetch, at most.
const FETCH_MAX: u32 = 100;

#[tonic::async_trait]
impl ExchangeService for Core {
    async fn push(
        &self,
        request: Request<v1::PushRequest>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let v1::PushRequest { package, options } = request.into_inner();
        if package.len() > PUSH_MAX {
            return Err(tell(Refusal::new(Name::TooLarge).at(
                "package",
                "Gói tin lớn hơn 4 MiB phải gửi bằng PushStream.",
                "A package of more than 4 MiB goes by PushStream.",
            )));
        }
        let options = convert::push_options(options);
        let receipt = self.exchange.push(&peer, package, options).await;
        answer(receipt.map(pushed))
    }

    async fn push_stream(
        &self,
        request: Request<Streaming<v1::PushStreamRequest>>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let receipt = push::stream(self, &peer, request.into_inner()).await?;
        Ok(Response::new(pushed(receipt)))
    }

    type SubscribeStream = BoxStream<v1::SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<v1::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        Ok(Response::new(subscribe::stream(
            self.clone(),
            peer,
            request.into_inner(),
        )))
    }

    type FetchStream = BoxStream<v1::DeliveryFrame>;

    async fn fetch(
        &self,
        request: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let request = request.into_inner();
        let most = request.max_deliveries.max(1);
        if most > FETCH_MAX {
            return Err(tell(Refusal::argument(
                "max_deliveries",
                format!("Tối đa {FETCH_MAX}."),
                format!("At most {FETCH_MAX}."),
            )));
        }
        let filter = FetchFilter {
            agency: request.agency.filter(|code| !code.is_empty()),
            kind: convert::kind_filter(request.kind).map_err(tell)?,
        };
        Ok(Response::new(frames::fetch(
            self.clone(),
            peer,
            filter,
            most,
        )))
    }

    async fn settle(
        &self,
        request: Request<v1::SettleRequest>,
    ) -> Result<Response<v1::SettleResponse>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let settle = convert::settle(request.into_inner(), "settle").map_err(tell)?;
        Span::current().record("delivery", display(settle.delivery));
        answer(
            self.exchange
                .settle(&peer, settle)
                .await
                .map(|settled| convert::settled(&settled)),
        )
    }

    async fn extend(
        &self,
        request: Request<v1::ExtendRequest>,
    ) -> Result<Response<v1::ExtendResponse>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?;
        let delivery = convert::delivery_id(&request.get_ref().delivery_id).map_err(tell)?;
        Span::current().record("delivery", display(delivery));
        let until = self.exchange.extend(peer, delivery);
        answer(until.map(|until| v1::ExtendResponse {
            leased_until: until.iso_ms(),
        }))
    }

    type DownloadStream = BoxStream<v1::DeliveryFrame>;

    async fn download(
        &self,
        request: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let peer = caller::system(request.extensions()).map_err(tell)?.clone();
        let delivery = convert::delivery_id(&request.get_ref().delivery_id).map_err(tell)?;
        Span::current().record("delivery", display(delivery));
        let offer = self
            .exchange
            .download(&peer, delivery)
            .await
            .map_err(tell)?;
        Ok(Response::new(frames::download(offer)))
    }
}

/// The receipt for the wire, its package noted in the call's span.
fn pushed(receipt: Receipt) -> v1::Receipt {
    Span::current().record("package", display(receipt.package));
    convert::receipt(receipt)
}
