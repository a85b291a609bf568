//! `echo`: what gRPC alone costs. A tonic server that receives the same bytes and answers; it
//! reads nothing in them, keeps nothing, delivers nothing.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use api::v1;
use api::v1::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use testkit::{Proc, Process};
use tokio::net::TcpListener;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// The hidden argument that makes this program the echo.
pub(super) const ARGUMENT: &str = "--echo-server";

/// A running echo; killed when dropped.
#[derive(Debug)]
pub(super) struct Echo {
    process: Process,
    pub(super) at: SocketAddr,
}

impl Echo {
    /// Starts it as a process of its own.
    pub(super) fn start() -> Result<Self> {
        let own = std::env::current_exe().context("this program has no path")?;
        let mut command = Command::new(own);
        let _ = command.args(["bench", ARGUMENT]);
        let process = Process::start(&mut command, None)?;
        let patience = Duration::from_secs(30);
        let at = process
            .stdout()
            .wait_for("echo's address", patience, |said| {
                said.split_once('\n')?.0.parse().ok()
            })?;
        Ok(Self { process, at })
    }

    /// What it costs.
    pub(super) fn proc(&self) -> Proc {
        Proc::of(self.process.pid())
    }
}

/// Is the echo until it is killed.
pub(super) async fn serve() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let service = ExchangeServiceServer::new(Answer).max_decoding_message_size(8 << 20);
    // The windows of the axis: a smaller one would be measured instead of the work.
    Server::builder()
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}

#[derive(Debug)]
struct Answer;

fn receipt(size: u64) -> Response<v1::Receipt> {
    Response::new(v1::Receipt {
        size,
        ..v1::Receipt::default()
    })
}

#[tonic::async_trait]
impl ExchangeService for Answer {
    async fn push(
        &self,
        request: Request<v1::PushRequest>,
    ) -> Result<Response<v1::Receipt>, Status> {
        Ok(receipt(request.into_inner().package.len() as u64))
    }

    async fn push_stream(
        &self,
        request: Request<Streaming<v1::PushStreamRequest>>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let mut messages = request.into_inner();
        let mut size = 0;
        while let Some(message) = messages.message().await? {
            size += message.chunk.len() as u64;
        }
        Ok(receipt(size))
    }

    type SubscribeStream = BoxStream<v1::SubscribeResponse>;
    type FetchStream = BoxStream<v1::DeliveryFrame>;
    type DownloadStream = BoxStream<v1::DeliveryFrame>;

    async fn subscribe(
        &self,
        _: Request<Streaming<v1::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Err(Status::unimplemented("echo"))
    }

    async fn fetch(
        &self,
        _: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        Err(Status::unimplemented("echo"))
    }

    async fn settle(
        &self,
        _: Request<v1::SettleRequest>,
    ) -> Result<Response<v1::SettleResponse>, Status> {
        Err(Status::unimplemented("echo"))
    }

    async fn extend(
        &self,
        _: Request<v1::ExtendRequest>,
    ) -> Result<Response<v1::ExtendResponse>, Status> {
        Err(Status::unimplemented("echo"))
    }

    async fn download(
        &self,
        _: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        Err(Status::unimplemented("echo"))
    }
}
