//! People's accounts.

use std::collections::BTreeMap;

use crate::event::{AccountAdded, AccountRevoked};
use crate::fact::Fact;
use crate::time::Ms;

/// A person's account.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// As it was given.
    pub added: AccountAdded,
    /// Its end, if it was revoked.
    pub revoked: Option<AccountRevoked>,
}

impl Account {
    /// Whether it lets in at a moment.
    #[must_use]
    pub fn is_valid(&self, at: Ms) -> bool {
        self.revoked.is_none() && self.added.not_after_ms.is_none_or(|end| at.0 < end)
    }
}

/// All accounts, by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Accounts(pub(super) BTreeMap<String, Account>);

impl Accounts {
    pub(super) fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::AccountAdded(added) => {
                let account = Account {
                    added: (**added).clone(),
                    revoked: None,
                };
                self.0.insert(added.account.clone(), account);
            }
            Fact::AccountRevoked(revoked) => {
                if let Some(account) = self.0.get_mut(&revoked.account) {
                    account.revoked = Some((**revoked).clone());
                }
            }
            _ => {}
        }
    }
}
