//! `AccessService`: people's accounts.

use tonic::{Request, Response, Status};

use super::Core;
use crate::v1;
use crate::v1::access_service_server::AccessService;

/// Of a call whose rules are not in this build yet.
fn later() -> Status {
    Status::unimplemented("this call is not in this build yet")
}

#[tonic::async_trait]
impl AccessService for Core {
    async fn add_account(
        &self,
        _: Request<v1::AddAccountRequest>,
    ) -> Result<Response<v1::AddAccountResponse>, Status> {
        Err(later())
    }

    async fn list_accounts(
        &self,
        _: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        Err(later())
    }

    async fn revoke_account(
        &self,
        _: Request<v1::RevokeAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        Err(later())
    }

    async fn who_am_i(
        &self,
        _: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        Err(later())
    }
}
