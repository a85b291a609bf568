//! Who may call what: one table, and nobody may call what is not in it.
//!
//! What the rights are to be stands apart from it, in `tests/rights.toml`, and is reviewed there;
//! a test walks every role against every method of the contract.

use exchange::Role;
use exchange::refusal::{Name, Refusal};

const EVERYBODY: &[Role] = &Role::ALL;
const SYSTEM: &[Role] = &[Role::System];
const OPERATOR: &[Role] = &[Role::Operator];
const REGISTRAR: &[Role] = &[Role::Operator, Role::Registrar];
const PEOPLE: &[Role] = &[
    Role::Operator,
    Role::Registrar,
    Role::Auditor,
    Role::AgencyAdmin,
    Role::Office,
];
const LISTS: &[Role] = &[Role::Operator, Role::Registrar, Role::Auditor];
const HISTORY: &[Role] = &[Role::System, Role::Operator, Role::Auditor, Role::Office];
const OVERSIGHT: &[Role] = &[Role::Operator, Role::Auditor, Role::Office];
const AUDIT: &[Role] = &[Role::Operator, Role::Auditor];
const KEYS: &[Role] = &[Role::Operator, Role::AgencyAdmin];
const SYSTEMS: &[Role] = &[
    Role::System,
    Role::Operator,
    Role::Registrar,
    Role::Auditor,
    Role::AgencyAdmin,
];

/// Services that are at the admin socket only.
const SOCKET: &str = "/axis.v1.OperationsService/";

/// Each method and the roles that may call it.
const TABLE: &[(&str, &[Role])] = &[
    ("/axis.v1.ExchangeService/Push", SYSTEM),
    ("/axis.v1.ExchangeService/PushStream", SYSTEM),
    ("/axis.v1.ExchangeService/Subscribe", SYSTEM),
    ("/axis.v1.ExchangeService/Fetch", SYSTEM),
    ("/axis.v1.ExchangeService/Settle", SYSTEM),
    ("/axis.v1.ExchangeService/Extend", SYSTEM),
    ("/axis.v1.ExchangeService/Download", SYSTEM),
    ("/axis.v1.StatusService/Report", SYSTEM),
    ("/axis.v1.StatusService/Recall", SYSTEM),
    ("/axis.v1.StatusService/Matrix", HISTORY),
    ("/axis.v1.StatusService/Watch", HISTORY),
    ("/axis.v1.StatusService/ListUnmatched", HISTORY),
    ("/axis.v1.HistoryService/Search", HISTORY),
    ("/axis.v1.HistoryService/Trace", HISTORY),
    ("/axis.v1.HistoryService/ListDuplicates", HISTORY),
    ("/axis.v1.HistoryService/ListIdle", OVERSIGHT),
    ("/axis.v1.RegistryService/ListAgencies", EVERYBODY),
    ("/axis.v1.RegistryService/GetAgency", EVERYBODY),
    ("/axis.v1.RegistryService/ListChanges", PEOPLE),
    ("/axis.v1.RegistryService/DiffRegistry", PEOPLE),
    ("/axis.v1.RegistryService/AddAgency", REGISTRAR),
    ("/axis.v1.RegistryService/ApproveAgency", REGISTRAR),
    ("/axis.v1.RegistryService/ChangeAgency", REGISTRAR),
    ("/axis.v1.RegistryService/SuspendAgency", REGISTRAR),
    ("/axis.v1.RegistryService/ResumeAgency", REGISTRAR),
    ("/axis.v1.RegistryService/CloseAgency", REGISTRAR),
    ("/axis.v1.RegistryService/ReopenAgency", REGISTRAR),
    ("/axis.v1.RegistryService/MergeAgencies", REGISTRAR),
    ("/axis.v1.RegistryService/SplitAgency", REGISTRAR),
    ("/axis.v1.RegistryService/WithdrawChange", REGISTRAR),
    ("/axis.v1.RegistryService/ImportAgencies", REGISTRAR),
    ("/axis.v1.RegistryService/ExportAgencies", PEOPLE),
    ("/axis.v1.RegistryService/Publish", REGISTRAR),
    ("/axis.v1.RegistryService/ListPublications", PEOPLE),
    ("/axis.v1.RegistryService/MarkSent", REGISTRAR),
    ("/axis.v1.RegistryService/DiffPublications", PEOPLE),
    ("/axis.v1.RegistryService/CompareList", LISTS),
    ("/axis.v1.RegistryService/ListUnknown", LISTS),
    ("/axis.v1.RegistryService/ListSystems", SYSTEMS),
    ("/axis.v1.RegistryService/AddSystem", OPERATOR),
    ("/axis.v1.RegistryService/ServeAgencies", OPERATOR),
    ("/axis.v1.RegistryService/ListService", SYSTEMS),
    ("/axis.v1.RegistryService/SuspendSystem", OPERATOR),
    ("/axis.v1.RegistryService/SetSystemLimits", OPERATOR),
    ("/axis.v1.RegistryService/AddSystemKey", KEYS),
    ("/axis.v1.RegistryService/PinCertificate", KEYS),
    ("/axis.v1.RegistryService/RevokeSystem", KEYS),
    ("/axis.v1.RegistryService/ListDue", AUDIT),
    ("/axis.v1.AccessService/AddAccount", OPERATOR),
    ("/axis.v1.AccessService/ListAccounts", AUDIT),
    ("/axis.v1.AccessService/RevokeAccount", OPERATOR),
    ("/axis.v1.AccessService/WhoAmI", EVERYBODY),
    ("/axis.v1.OperationsService/Info", AUDIT),
    ("/axis.v1.OperationsService/Queues", AUDIT),
    ("/axis.v1.OperationsService/Why", AUDIT),
    ("/axis.v1.OperationsService/Pause", OPERATOR),
    ("/axis.v1.OperationsService/Resume", OPERATOR),
    ("/axis.v1.OperationsService/ListDead", AUDIT),
    ("/axis.v1.OperationsService/RetryDead", OPERATOR),
    ("/axis.v1.OperationsService/DropDead", OPERATOR),
    ("/axis.v1.OperationsService/Redeliver", OPERATOR),
    ("/axis.v1.OperationsService/ListReminders", AUDIT),
    ("/axis.v1.OperationsService/Remind", OPERATOR),
    ("/axis.v1.OperationsService/Remove", OPERATOR),
    ("/axis.v1.OperationsService/Alerts", AUDIT),
    ("/axis.v1.OperationsService/Verify", AUDIT),
];

/// Whether a method is offered at the admin socket only.
pub(crate) fn is_for_the_socket(method: &str) -> bool {
    method.starts_with(SOCKET)
}

/// The methods that a role may call.
pub(crate) fn of(role: Role) -> impl Iterator<Item = &'static str> {
    let table = TABLE.iter().filter(move |(_, roles)| roles.contains(&role));
    table.map(|(method, _)| *method)
}

/// Refuses a call that the role may not make.
pub(crate) fn check(method: &str, role: Role) -> Result<(), Refusal> {
    let row = TABLE.iter().find(|(known, _)| *known == method);
    if row.is_some_and(|(_, roles)| roles.contains(&role)) {
        return Ok(());
    }
    let role = role.word();
    Err(Refusal::new(Name::PermissionDenied).at(
        method,
        format!("Vai trò {role} không được gọi {method}."),
        format!("The role {role} may not call {method}."),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message as _;

    use super::*;

    type Expected = BTreeMap<String, BTreeMap<String, Vec<String>>>;

    fn expected() -> BTreeMap<String, BTreeSet<String>> {
        let text = include_str!("../tests/rights.toml");
        // What is under [http] is held by the console.
        let mut reviewed: toml::Table = text.parse().unwrap();
        assert!(reviewed.remove("http").is_some());
        let services: Expected = reviewed.try_into().unwrap();
        let methods = services.into_iter().flat_map(|(service, methods)| {
            methods
                .into_iter()
                .map(move |(method, roles)| (format!("/{service}/{method}"), roles))
        });
        methods
            .map(|(method, roles)| {
                for role in &roles {
                    assert!(Role::of_word(role).is_some(), "{method}: no role {role}");
                }
                (method, roles.into_iter().collect())
            })
            .collect()
    }

    /// Every method of the contract, from its descriptors.
    fn methods() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(crate::v1::DESCRIPTORS).unwrap();
        let services = set.file.iter().flat_map(|file| &file.service);
        services
            .flat_map(|service| {
                let methods = service.method.iter();
                methods.map(|m| format!("/axis.v1.{}/{}", service.name(), m.name()))
            })
            .collect()
    }

    #[test]
    fn sc_05_each_role_may_call_what_the_reviewed_table_says() {
        let expected = expected();
        let methods = methods();
        assert!(methods.len() > 40);
        let reviewed: BTreeSet<_> = expected.keys().cloned().collect();
        assert_eq!(
            methods, reviewed,
            "each method has a row in tests/rights.toml"
        );
        for method in &methods {
            for role in Role::ALL {
                let may = check(method, role).is_ok();
                let should = expected[method].contains(role.word());
                assert_eq!(may, should, "{} {method}", role.word());
                assert_eq!(of(role).any(|known| known == method), should);
            }
        }
    }

    #[test]
    fn a_call_without_a_row_is_nobodys() {
        for role in Role::ALL {
            for method in ["/axis.v1.RegistryService/New", "/axis.v1.Other/Call", ""] {
                let refused = check(method, role).unwrap_err();
                assert_eq!(refused.name, Name::PermissionDenied);
            }
        }
    }
}
