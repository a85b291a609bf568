//! `axis access`: people's accounts, for those who come over the network.

use std::path::PathBuf;

use api::v1;
use clap::ValueEnum;
use serde::Serialize;

use super::system::{Common, refuse_existing, save};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Give a person an account; the key is shown once
    Add {
        /// The account's id: a-z 0-9 . _ -
        id: String,
        /// The person's full name; one person, one account
        #[arg(long, value_name = "NAME")]
        person: String,
        /// What the person may do
        #[arg(long)]
        role: Role,
        /// Of an agency-admin: an agency, by any code; may be given several times
        #[arg(long = "agency", value_name = "CODE")]
        agencies: Vec<String>,
        /// Days until it ends by itself; 0 = until revoked
        #[arg(long, value_name = "DAYS", default_value_t = 0)]
        valid_days: u32,
        /// Write the key to this new file, mode 0600, in place of showing it
        #[arg(long, value_name = "FILE")]
        save_key: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// The accounts, also revoked ones
    List {
        #[command(flatten)]
        common: Common,
    },
    /// End an account: its next call is refused
    Revoke {
        /// The account
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        common: Common,
    },
}

/// What a person may do: docs/security.md.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// Everything but what systems do
    Operator,
    /// Keep the list of agencies
    Registrar,
    /// Read everything, change nothing
    Auditor,
    /// Change the keys of its agencies' systems
    AgencyAdmin,
    /// Read history and the list
    Office,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Registrar => "registrar",
            Self::Auditor => "auditor",
            Self::AgencyAdmin => "agency_admin",
            Self::Office => "office",
        }
    }
}

/// An account, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Shape<'a> {
    id: &'a str,
    person: &'a str,
    role: &'a str,
    agencies: &'a [String],
    added_at: &'a str,
    added_by: &'a str,
    not_after: Option<&'a str>,
    revoked_at: Option<&'a str>,
    revoked_by: Option<&'a str>,
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> Shape<'a> {
    fn of(account: &'a v1::Account, key: Option<&'a str>) -> Self {
        let some = |text: &'a String| (!text.is_empty()).then_some(text.as_str());
        Self {
            id: &account.id,
            person: &account.person,
            role: &account.role,
            agencies: &account.agencies,
            added_at: &account.added_at,
            added_by: &account.added_by,
            not_after: some(&account.not_after),
            revoked_at: some(&account.revoked_at),
            revoked_by: some(&account.revoked_by),
            why: some(&account.why),
            key,
        }
    }
}

/// Runs `axis access`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add {
            id,
            person,
            role,
            agencies,
            valid_days,
            save_key,
            common,
        } => {
            refuse_existing(save_key.as_deref())?;
            let request = v1::AddAccountRequest {
                id,
                person,
                role: role.word().to_owned(),
                agencies,
                valid_days,
            };
            let added = common.connect().await?.add_account(request).await?;
            let account = added.account.unwrap_or_default();
            if let Some(file) = &save_key {
                save(file, &added.key)?;
            }
            let shown = save_key.is_none().then_some(added.key.as_str());
            if common.json {
                return Ok(output::json(&Shape::of(&account, shown))?);
            }
            let id = &account.id;
            match (shown, &save_key) {
                (Some(key), _) => output::line(format!(
                    "Khóa của tài khoản {id}, chỉ hiện một lần (the key, shown once):\n\n    {key}\n"
                ))?,
                (None, file) => {
                    let file = file.as_ref().map(|file| file.display().to_string());
                    output::line(format!(
                        "Khóa của tài khoản {id} nằm trong {} (the key is there and nowhere else).",
                        file.unwrap_or_default()
                    ))?;
                }
            }
        }
        Command::List { common } => {
            let request = v1::ListAccountsRequest {};
            let accounts = common
                .connect()
                .await?
                .list_accounts(request)
                .await?
                .accounts;
            if common.json {
                for account in &accounts {
                    output::json(&Shape::of(account, None))?;
                }
                return Ok(());
            }
            let header = ["TÀI KHOẢN", "NGƯỜI", "VAI TRÒ", "CƠ QUAN", "TỪ", "ĐẾN"];
            let rows = accounts.into_iter().map(|account| {
                let end = match (account.revoked_at.as_str(), account.not_after.as_str()) {
                    ("", "") => "khi thu hồi".to_owned(),
                    ("", end) => end.to_owned(),
                    (at, _) => format!("thu hồi {at} ({}: {})", account.revoked_by, account.why),
                };
                [
                    account.id,
                    account.person,
                    account.role,
                    account.agencies.join(" "),
                    account.added_at,
                    end,
                ]
            });
            output::line(output::table(header, rows))?;
        }
        Command::Revoke { id, why, common } => {
            let request = v1::RevokeAccountRequest { id, why };
            let account = common.connect().await?.revoke_account(request).await?;
            if common.json {
                return Ok(output::json(&Shape::of(&account, None))?);
            }
            output::line(format!(
                "Tài khoản {} ({}) đã bị thu hồi (revoked).",
                account.id, account.person
            ))?;
        }
    }
    Ok(())
}
