//! `AccessService`: people's accounts.

use exchange::{Caller, NewAccount};
use tonic::{Request, Response, Status};

use super::{Core, answer, asked, tell};
use crate::v1::access_service_server::AccessService;
use crate::{caller, convert, rights, v1};

#[tonic::async_trait]
impl AccessService for Core {
    async fn add_account(
        &self,
        request: Request<v1::AddAccountRequest>,
    ) -> Result<Response<v1::AddAccountResponse>, Status> {
        let (operator, request) = asked(request)?;
        let new = NewAccount {
            id: request.id,
            person: request.person,
            role: request.role,
            agencies: request.agencies,
            valid_days: request.valid_days,
        };
        let added = self.exchange.add_account(&operator, &new).await;
        answer(added.map(|(account, key)| v1::AddAccountResponse {
            account: Some(convert::account(account)),
            key,
        }))
    }

    async fn list_accounts(
        &self,
        _: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        let accounts = self.exchange.accounts();
        let accounts = accounts.into_iter().map(convert::account).collect();
        Ok(Response::new(v1::ListAccountsResponse { accounts }))
    }

    async fn revoke_account(
        &self,
        request: Request<v1::RevokeAccountRequest>,
    ) -> Result<Response<v1::Account>, Status> {
        let (operator, request) = asked(request)?;
        let revoked = self
            .exchange
            .revoke_account(&operator, &request.id, &request.why)
            .await;
        answer(revoked.map(convert::account))
    }

    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let caller = caller::of(request.extensions()).map_err(tell)?;
        let role = caller.role();
        let (system, account, person) = match caller {
            Caller::System(peer) => (peer.system().to_string(), String::new(), String::new()),
            Caller::Operator(person) => {
                (String::new(), person.account.clone(), person.person.clone())
            }
        };
        Ok(Response::new(v1::WhoAmIResponse {
            role: role.word().to_owned(),
            system,
            account,
            person,
            methods: rights::of(role).map(str::to_owned).collect(),
        }))
    }
}
