//! Removal of content, by an approved list only (duty EX-11): an agency can delete nothing. What
//! leaves is the payload; the record, its hash and the chain stay, and the decision stands in
//! the journal beside the name of who carried it out.

use ledger::Command;
use ledger::id::PackageId;

use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Operator};

/// Packages on one list, at most.
const LIST: usize = 10_000;
/// Characters of a decision's number and date, at most.
const DECISION: usize = 200;

/// What became of one package of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The package.
    pub package: PackageId,
    /// Bytes of its content.
    pub size: u64,
    /// Whether its content left now; `false` if it had left before.
    pub removed: bool,
}

impl Exchange {
    /// Removes the content of each package of an approved list. The whole list is looked at
    /// first: nothing is removed if one id is wrong.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a decision or person, for an empty list, for an id that stands
    /// twice, and naming each id that no package has, that still waits for a receiver, or that
    /// the axis made itself (its bytes are part of the record).
    pub async fn remove(
        &self,
        operator: &Operator,
        list: Vec<PackageId>,
        decision: &str,
    ) -> Result<Vec<Removal>, Refusal> {
        let decision = decision.trim();
        check(operator, &list, decision)?;
        let inner = &self.inner;
        let list = inner.ask(move |query| look(query, list)).await??;
        for removal in &list {
            if removal.removed {
                let command = Command::RemovePayload {
                    package: removal.package,
                    at: inner.now(),
                    actor: operator.actor(""),
                    decision: decision.to_owned(),
                };
                inner.commit(command).await?;
            }
        }
        Ok(list)
    }
}

fn check(operator: &Operator, list: &[PackageId], decision: &str) -> Result<(), Refusal> {
    if decision.is_empty() || decision.chars().count() > DECISION {
        return Err(Refusal::argument(
            "decision",
            "Xóa nội dung phải theo quyết định: nêu số quyết định (tối đa 200 ký tự).",
            "Content is removed by decision only: give its number (at most 200 characters).",
        ));
    }
    if operator.person.trim().is_empty() {
        return Err(Refusal::argument(
            "by",
            "Nêu người thực hiện (--by).",
            "Name the person who removes it (--by).",
        ));
    }
    if list.is_empty() || list.len() > LIST {
        return Err(Refusal::argument(
            "package_ids",
            "Danh sách phải có từ 1 đến 10.000 gói tin.",
            "A list has 1 to 10,000 packages.",
        ));
    }
    Ok(())
}

/// What becomes of each package, or what is wrong with the list.
fn look(
    query: &ledger::Query,
    list: Vec<PackageId>,
) -> Result<Result<Vec<Removal>, Refusal>, ledger::QueryError> {
    let mut refusal = Refusal::new(Name::BadArgument);
    let mut found = Vec::with_capacity(list.len());
    let mut seen = std::collections::HashSet::with_capacity(list.len());
    for (number, id) in list.into_iter().enumerate() {
        let path = format!("package_ids[{number}]");
        if !seen.insert(id) {
            refusal = refusal.at(
                path,
                format!("Gói tin {id} xuất hiện hai lần."),
                format!("The package {id} stands twice."),
            );
            continue;
        }
        let Some(package) = query.package(id)? else {
            refusal = refusal.at(
                path,
                format!("Không có gói tin {id}."),
                format!("There is no package {id}."),
            );
            continue;
        };
        if !package.facts.made.is_empty() {
            refusal = refusal.at(
                path,
                format!("Gói tin {id} do trục lập, là một phần của hồ sơ, không xóa được."),
                format!("The axis made the package {id}: it is part of the record and stays."),
            );
            continue;
        }
        if query.is_awaited(&package)? {
            refusal = refusal.at(
                path,
                format!("Gói tin {id} còn bên nhận chưa kết thúc nhận; chưa xóa được."),
                format!("A receiver has not settled the package {id} yet; it cannot leave."),
            );
            continue;
        }
        found.push(Removal {
            package: id,
            size: package.facts.size,
            removed: !query.is_removed(id),
        });
    }
    Ok(if refusal.details.is_empty() {
        Ok(found)
    } else {
        Err(refusal)
    })
}
