//! People's accounts: who comes over the network and is no system.
//!
//! One person has one account. Its key has 256 random bits, so a fast hash keeps it as well as
//! a slow one; it is shown once and compared in constant time. After some wrong keys the account
//! is locked for a while, and the answer never tells which of the two it was.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ledger::Fact;
use ledger::event::{self, AccountAdded, AccountRevoked};
use ledger::id::AgencyId;
use ledger::registry::{Account, Registry};
use ledger::time::Ms;
use zeroize::Zeroizing;

use crate::agencies::not_registered;
use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Operator};

/// Wrong keys in a row that lock an account.
const TRIES: u32 = 5;
/// How long it stays locked, and wrong keys are remembered.
const LOCKED: i64 = 15 * 60 * 1_000;
const DAY: i64 = 86_400_000;

/// What a caller may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A connected system: it sends and receives for its agencies.
    System,
    /// Runs the axis: everything but what systems do.
    #[default]
    Operator,
    /// Keeps the list of agencies.
    Registrar,
    /// Reads everything, changes nothing.
    Auditor,
    /// Looks after an agency's systems and keys.
    AgencyAdmin,
    /// A clerk's office: history and statistics.
    Office,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::System,
        Self::Operator,
        Self::Registrar,
        Self::Auditor,
        Self::AgencyAdmin,
        Self::Office,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Operator => "operator",
            Self::Registrar => "registrar",
            Self::Auditor => "auditor",
            Self::AgencyAdmin => "agency_admin",
            Self::Office => "office",
        }
    }

    /// The role with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    const fn written(self) -> event::Role {
        match self {
            Self::System => event::Role::Unspecified,
            Self::Operator => event::Role::Operator,
            Self::Registrar => event::Role::Registrar,
            Self::Auditor => event::Role::Auditor,
            Self::AgencyAdmin => event::Role::AgencyAdmin,
            Self::Office => event::Role::Office,
        }
    }

    fn read(role: event::Role) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.written() == role && role != event::Role::Unspecified)
    }
}

/// An account to add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id: 1 to 64 of `a-z 0-9 . _ -`.
    pub id: String,
    /// The person's full name.
    pub person: String,
    /// The role's word.
    pub role: String,
    /// Of an agency admin: any code of each agency.
    pub agencies: Vec<String>,
    /// How long it is valid; 0 = until revoked.
    pub valid_days: u32,
}

/// An account, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its id.
    pub id: String,
    /// The person.
    pub person: String,
    /// The role's word.
    pub role: &'static str,
    /// Of an agency admin: main codes.
    pub agencies: Vec<String>,
    /// Since when.
    pub added_at: Ms,
    /// By whom.
    pub added_by: String,
    /// Its end; `None` = until revoked.
    pub not_after: Option<Ms>,
    /// When, by whom and why it was revoked.
    pub revoked: Option<(Ms, String, String)>,
}

/// Wrong keys of late, per account that there is.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<String, (u32, Ms)>>);

impl Attempts {
    fn is_locked(&self, account: &str, now: Ms) -> bool {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match attempts.get(account) {
            Some((_, last)) if now.0 - last.0 >= LOCKED => {
                attempts.remove(account);
                false
            }
            Some((tries, _)) => *tries >= TRIES,
            None => false,
        }
    }

    fn failed(&self, account: &str, now: Ms) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tries, last) = attempts.entry(account.to_owned()).or_insert((0, now));
        *tries += 1;
        *last = now;
        if *tries == TRIES {
            tracing::warn!(account, "locked for 15 minutes after wrong keys");
        }
    }

    fn succeeded(&self, account: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(account);
    }
}

fn hash(key: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, key)
}

impl Exchange {
    /// The person who shows this account and key.
    ///
    /// # Errors
    /// UNAUTHENTICATED, alike whatever is wrong.
    pub fn authenticate_account(&self, account: &str, key: &str) -> Result<Operator, Refusal> {
        let refused = || {
            Refusal::new(Name::Unauthenticated).at(
                "axis-account",
                "Sai tài khoản hoặc khóa, tài khoản đã hết hạn, hoặc tạm khóa 15 phút sau 5 lần sai.",
                "A wrong account or key, an account that has ended, or one that is locked for 15 minutes after 5 wrong keys.",
            )
        };
        let registry = self.inner.ledger.registry();
        let now = registry.at();
        let known = registry
            .account(account)
            .filter(|known| known.is_valid(now));
        let known = known.ok_or_else(refused)?;
        if self.inner.attempts.is_locked(account, now) {
            return Err(refused());
        }
        let given = Zeroizing::new(URL_SAFE_NO_PAD.decode(key.trim()).unwrap_or_default());
        let given = hash(&given);
        let right =
            constant_time::verify_slices_are_equal(given.as_ref(), &known.added.key_sha256).is_ok();
        let role = Role::read(known.added.role());
        let (true, Some(role)) = (right, role) else {
            self.inner.attempts.failed(account, now);
            return Err(refused());
        };
        self.inner.attempts.succeeded(account);
        Ok(Operator {
            uid: 0,
            person: known.added.person.clone(),
            account: account.to_owned(),
            role,
        })
    }

    /// Gives a person an account; its key is told here and never again.
    ///
    /// # Errors
    /// BAD_ARGUMENT; ALREADY_EXISTS for an id that is or was used, or a person who has one.
    pub async fn add_account(
        &self,
        operator: &Operator,
        new: &NewAccount,
    ) -> Result<(AccountRecord, String), Refusal> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if !(1..=64).contains(&new.id.len()) || !new.id.chars().all(fits) {
            return Err(Refusal::argument(
                "id",
                "Mã tài khoản gồm 1 đến 64 chữ thường không dấu, chữ số, '.', '_' hoặc '-'.",
                "An account's id has 1 to 64 of a-z, 0-9, '.', '_', '-'.",
            ));
        }
        let person = crate::admission::document_key(&new.person);
        if person.is_empty() || person.len() > 256 || person.chars().any(char::is_control) {
            return Err(Refusal::argument(
                "person",
                "Tài khoản phải mang họ tên của một người.",
                "An account bears the name of one person.",
            ));
        }
        let role = Role::of_word(&new.role).filter(|role| *role != Role::System);
        let role = role.ok_or_else(|| {
            Refusal::argument(
                "role",
                "Vai trò: operator, registrar, auditor, agency_admin hoặc office.",
                "The role is operator, registrar, auditor, agency_admin or office.",
            )
        })?;
        if (role == Role::AgencyAdmin) == new.agencies.is_empty() {
            return Err(Refusal::argument(
                "agencies",
                "Vai trò agency_admin phải nêu cơ quan; vai trò khác không nêu.",
                "An agency_admin names agencies, another role none.",
            ));
        }
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(&mut key[..]).map_err(|_| Refusal::new(Name::Internal))?;
        let text = URL_SAFE_NO_PAD.encode(&key[..]);
        let now = self.inner.now();
        let not_after = (new.valid_days > 0).then(|| now.0 + i64::from(new.valid_days) * DAY);
        self.inner
            .change_registry(|registry| {
                if registry.account(&new.id).is_some() {
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "id",
                        format!("Tài khoản {} đã có hoặc đã từng có; chọn mã khác.", new.id),
                        format!("The account {} is or was used; choose another id.", new.id),
                    ));
                }
                let same = registry.accounts().find(|account| {
                    account.is_valid(now)
                        && account.added.person.to_lowercase() == person.to_lowercase()
                });
                if let Some(same) = same {
                    let id = &same.added.account;
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "person",
                        format!("{person} đã có tài khoản {id}; mỗi người một tài khoản."),
                        format!("{person} has the account {id}; one person has one account."),
                    ));
                }
                let mut agencies = Vec::new();
                for code in &new.agencies {
                    let id = registry.resolve(code);
                    agencies.push(id.ok_or_else(|| not_registered(code, "agencies"))?.0);
                }
                let fact = AccountAdded {
                    account: new.id.clone(),
                    person: person.clone(),
                    role: role.written().into(),
                    agencies,
                    key_sha256: Bytes::copy_from_slice(hash(&key[..]).as_ref()),
                    at_ms: now.0,
                    actor: Some(operator.actor("")),
                    not_after_ms: not_after,
                };
                Ok((vec![Fact::AccountAdded(Box::new(fact))], ()))
            })
            .await?;
        let record = self.account(&new.id)?;
        Ok((record, text))
    }

    /// All accounts, also revoked ones, by id.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountRecord> {
        let registry = self.inner.ledger.registry();
        let accounts = registry.accounts();
        accounts.map(|account| record(&registry, account)).collect()
    }

    /// An account.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn account(&self, id: &str) -> Result<AccountRecord, Refusal> {
        let registry = self.inner.ledger.registry();
        let account = registry.account(id);
        let account = account.ok_or_else(|| no_account(id))?;
        Ok(record(&registry, account))
    }

    /// Ends an account: its next call is refused.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn revoke_account(
        &self,
        operator: &Operator,
        id: &str,
        why: &str,
    ) -> Result<AccountRecord, Refusal> {
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                let account = registry.account(id).ok_or_else(|| no_account(id))?;
                let fact = account.revoked.is_none().then(|| {
                    Fact::AccountRevoked(Box::new(AccountRevoked {
                        account: id.to_owned(),
                        at_ms: now.0,
                        actor: Some(operator.actor(why)),
                    }))
                });
                Ok((fact.into_iter().collect(), ()))
            })
            .await?;
        self.account(id)
    }

    /// Whether a person looks after every agency that a system serves.
    #[must_use]
    pub fn looks_after(&self, operator: &Operator, system: &str) -> bool {
        let registry = self.inner.ledger.registry();
        let Some(account) = registry.account(&operator.account) else {
            return false;
        };
        let Ok(system) = system.parse() else {
            return false;
        };
        let mut served = registry.served_by(&system).peekable();
        served.peek().is_some() && served.all(|agency| account.added.agencies.contains(&agency.0))
    }
}

fn no_account(id: &str) -> Refusal {
    Refusal::new(Name::NotFound).at(
        "id",
        format!("Không có tài khoản {id:?}."),
        format!("There is no account {id:?}."),
    )
}

fn record(registry: &Registry, account: &Account) -> AccountRecord {
    let added = &account.added;
    let code = |id: &u32| {
        let agency = registry.agency(AgencyId(*id));
        agency.map(|agency| agency.code.to_string())
    };
    AccountRecord {
        id: added.account.clone(),
        person: added.person.clone(),
        role: Role::read(added.role()).map_or("unknown", Role::word),
        agencies: added.agencies.iter().filter_map(code).collect(),
        added_at: Ms(added.at_ms),
        added_by: actor(added.actor.as_ref()),
        not_after: added.not_after_ms.map(Ms),
        revoked: account.revoked.as_ref().map(|revoked| {
            let why = revoked.actor.as_ref().map(|actor| actor.why.clone());
            (
                Ms(revoked.at_ms),
                actor(revoked.actor.as_ref()),
                why.unwrap_or_default(),
            )
        }),
    }
}
