//! The registry's changes: agencies by list, systems with their keys and pins. Each is made on
//! one version of the registry and committed only if that still stands.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use ledger::event::{
    AgencyRecorded, AgencyState, Attachment, SystemKeyAdded, SystemKeyRevoked, SystemPinAdded,
    SystemPinRevoked, SystemRecorded,
};
use ledger::id::{AgencyId, SystemId};
use ledger::registry::{Registry, System, canonical_code, codes, state_word};
use ledger::time::Ms;
use ledger::{Command, CommitError, Conflict, Fact};

use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator, refused_commit};
use crate::types::{
    AgencyRecord, ImportProblem, Imported, NewSystem, Page, Revoke, Revoked, SystemRecord,
};

/// How often a change is made anew because the registry changed meanwhile.
const ATTEMPTS: u32 = 5;
/// Rows of one list.
const MAX_ROWS: usize = 200_000;
/// Problems told of one list.
const MAX_PROBLEMS: usize = 100;
/// The longest name: OrganName's limit is 200 characters; longer ones are met.
const MAX_NAME: usize = 500;

impl Inner {
    /// Commits what `make` makes of the registry; makes it anew if the registry changed.
    async fn change_registry<T>(
        &self,
        mut make: impl FnMut(&Registry) -> Result<(Vec<Fact>, T), Refusal>,
    ) -> Result<T, Refusal> {
        for _ in 0..ATTEMPTS {
            let registry = self.ledger.registry();
            let (facts, made) = make(&registry)?;
            if facts.is_empty() {
                return Ok(made);
            }
            let command = Command::Register { version: registry.version(), facts };
            match self.ledger.commit(command).await {
                Ok(_) => return Ok(made),
                Err(CommitError::Conflict(Conflict::RegistryChanged)) => {}
                Err(error) => return Err(refused_commit(&error)),
            }
        }
        Err(Refusal::new(Name::OutcomeUnknown).retry_after(1_000))
    }
}

impl Exchange {
    /// Agencies whose codes or name match, by id.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that is not this list's.
    pub fn agencies(
        &self,
        search: &str,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<AgencyRecord>, Refusal> {
        let registry = self.inner.ledger.registry();
        let after = match page_token {
            "" => 0,
            token => token.parse::<u32>().map_err(|_| {
                Refusal::new(Name::BadArgument).at("page_token", "Mã trang không hợp lệ.", "The page token is not valid.")
            })?,
        };
        let size = if page_size == 0 { 1_000 } else { page_size.min(10_000) } as usize;
        let wanted = plain(search);
        let matches = |agency: &AgencyRecorded| {
            wanted.is_empty()
                || codes(agency).any(|code| plain(code).contains(&wanted))
                || plain(&agency.name).contains(&wanted)
        };
        let mut items: Vec<AgencyRecord> = registry
            .agencies()
            .filter(|(id, agency)| id.0 > after && matches(agency))
            .take(size + 1)
            .map(|(id, agency)| agency_record(&registry, id, agency))
            .collect();
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(|last| last.id.to_string()) } else { None };
        Ok(Page { items, next: next.unwrap_or_default() })
    }

    /// The agency with this code, in any of its forms.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn agency(&self, code: &str) -> Result<AgencyRecord, Refusal> {
        let registry = self.inner.ledger.registry();
        let id = registry.resolve(code);
        let found = id.and_then(|id| registry.agency(id).map(|agency| agency_record(&registry, id, agency)));
        found.ok_or_else(|| {
            Refusal::new(Name::NotFound).at(
                "code",
                format!("Mã cơ quan {code:?} không có trong danh mục."),
                format!("The code {code:?} is not registered."),
            )
        })
    }

    /// Takes over a list: CSV in UTF-8 with the header `code,code_2020,name,parent` at least.
    /// All or nothing; a dry run changes nothing.
    ///
    /// # Errors
    /// BAD_REGISTRY names rows, columns and reasons; the ledger's.
    pub async fn import_agencies(
        &self,
        operator: &Operator,
        csv: Bytes,
        decision: &str,
        dry_run: bool,
    ) -> Result<Imported, Refusal> {
        let rows = match rows(&csv) {
            Ok(rows) => rows,
            Err(problems) => return Ok(Imported { problems, ..Imported::default() }),
        };
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                let (facts, mut imported) = plan(registry, &rows, operator, decision, now);
                if imported.problems.is_empty() && !dry_run {
                    return Ok((facts, imported));
                }
                imported.problems.truncate(MAX_PROBLEMS);
                Ok((Vec::new(), imported))
            })
            .await
    }

    /// All systems, by id.
    #[must_use]
    pub fn systems(&self) -> Vec<SystemRecord> {
        let registry = self.inner.ledger.registry();
        registry.systems().filter_map(|system| system_record(&registry, system)).collect()
    }

    /// Adds a system; its key, if it gets one, is told here and never again.
    ///
    /// # Errors
    /// BAD_ARGUMENT, UNKNOWN_RECEIVER for an agency that is not registered, ALREADY_EXISTS if
    /// the system is there or an agency is served by another one.
    pub async fn add_system(
        &self,
        operator: &Operator,
        system: NewSystem,
    ) -> Result<(SystemRecord, Option<String>), Refusal> {
        let id: SystemId = system.id.parse().map_err(|error: ledger::id::NotAnId| {
            Refusal::new(Name::BadArgument).at(
                "id",
                "Mã hệ thống gồm 1 đến 64 chữ cái không dấu, chữ số, '.', '_' hoặc '-'.",
                error.to_string(),
            )
        })?;
        let attachment = match system.attachment.as_str() {
            "" | "direct" => Attachment::Direct,
            other => {
                return Err(Refusal::new(Name::BadArgument).at(
                    "attachment",
                    format!("Kiểu kết nối {other:?} chưa được hỗ trợ; dùng \"direct\"."),
                    format!("The attachment {other:?} is not offered by this build; use \"direct\"."),
                ));
            }
        };
        if system.agencies.is_empty() {
            return Err(Refusal::new(Name::BadArgument).at(
                "agency",
                "Hệ thống phải phục vụ ít nhất một cơ quan (--agency MÃ).",
                "A system serves at least one agency (--agency CODE).",
            ));
        }
        let now = self.inner.now();
        let made_key = if system.with_key {
            Some(self.inner.sealer.new_key(id.as_str()).ok_or_else(|| Refusal::new(Name::Internal))?)
        } else {
            None
        };
        let by = operator.actor("");
        self.inner
            .change_registry(|registry| {
                if registry.system(id.as_str()).is_some() {
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "id",
                        format!("Hệ thống {id} đã có; thêm khóa bằng `axis system key {id}`."),
                        format!("The system {id} exists; give it another key with `axis system key {id}`."),
                    ));
                }
                let (agencies, mut facts) = served(registry, &id, &system.agencies, &by, now)?;
                facts.push(Fact::SystemRecorded(Box::new(SystemRecorded {
                    system: id.to_string(),
                    agencies: agencies.iter().map(|agency| agency.0).collect(),
                    attachment: attachment.into(),
                    at_ms: now.0,
                    actor: Some(by.clone()),
                    axis_acknowledges: system.axis_acknowledges,
                    name: system.name.clone(),
                    ..SystemRecorded::default()
                })));
                if let Some((_, sealed)) = &made_key {
                    facts.push(key_added(&id, 1, sealed, &by, now));
                }
                Ok((facts, ()))
            })
            .await?;
        let registry = self.inner.ledger.registry();
        let record = registry.system(id.as_str()).and_then(|system| system_record(&registry, system));
        let record = record.ok_or_else(|| Refusal::new(Name::Internal))?;
        Ok((record, made_key.map(|(text, _)| text.to_string())))
    }

    /// Gives a system another key: its number and its text, told here and never again.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn add_key(&self, operator: &Operator, system: &str) -> Result<(u32, String), Refusal> {
        let now = self.inner.now();
        let (text, sealed) =
            self.inner.sealer.new_key(system).ok_or_else(|| Refusal::new(Name::Internal))?;
        let by = operator.actor("");
        let number = self
            .inner
            .change_registry(|registry| {
                let id = known_system(registry, system)?;
                let keys = registry.system(system).map(|s| s.keys.as_slice()).unwrap_or_default();
                let number = keys.iter().map(|key| key.key_id).max().unwrap_or(0) + 1;
                // Numbers of revoked keys are not given again while the system has others; a
                // number alone opens nothing.
                Ok((vec![key_added(&id, number, &sealed, &by, now)], number))
            })
            .await?;
        Ok((number, text.to_string()))
    }

    /// Pins a client certificate's public key to a system.
    ///
    /// # Errors
    /// NOT_FOUND; ALREADY_EXISTS if it is pinned to a system already.
    pub async fn pin(
        &self,
        operator: &Operator,
        system: &str,
        spki_sha256: [u8; 32],
        subject: &str,
    ) -> Result<(), Refusal> {
        let now = self.inner.now();
        let by = operator.actor("");
        self.inner
            .change_registry(|registry| {
                let id = known_system(registry, system)?;
                if let Some(other) = registry.pinned(&spki_sha256) {
                    let other = &other.facts.system;
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "certificate",
                        format!("Chứng thư này đã gắn với hệ thống {other}."),
                        format!("This certificate is pinned to the system {other} already."),
                    ));
                }
                let fact = SystemPinAdded {
                    system: id.to_string(),
                    spki_sha256: Bytes::copy_from_slice(&spki_sha256),
                    at_ms: now.0,
                    actor: Some(by.clone()),
                    subject: subject.to_owned(),
                };
                Ok((vec![Fact::SystemPinAdded(Box::new(fact))], ()))
            })
            .await
    }

    /// Takes keys and pins back: the next call with them is refused, streams opened with them
    /// are cut.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn revoke(
        &self,
        operator: &Operator,
        system: &str,
        what: Revoke,
    ) -> Result<Revoked, Refusal> {
        let now = self.inner.now();
        let by = operator.actor("");
        self.inner
            .change_registry(|registry| {
                let id = known_system(registry, system)?;
                let none = System { facts: SystemRecorded::default(), keys: Vec::new(), pins: Vec::new() };
                let has = registry.system(system).unwrap_or(&none);
                let keys = has.keys.iter().filter(|key| match what {
                    Revoke::All => true,
                    Revoke::Key(number) => key.key_id == number,
                    Revoke::Pin(_) => false,
                });
                let pins = has.pins.iter().filter(|pin| match what {
                    Revoke::All => true,
                    Revoke::Key(_) => false,
                    Revoke::Pin(hash) => pin.spki_sha256 == hash[..],
                });
                let mut revoked = Revoked::default();
                let mut facts = Vec::new();
                for key in keys {
                    revoked.keys += 1;
                    facts.push(Fact::SystemKeyRevoked(Box::new(SystemKeyRevoked {
                        system: id.to_string(),
                        key_id: key.key_id,
                        at_ms: now.0,
                        actor: Some(by.clone()),
                    })));
                }
                for pin in pins {
                    revoked.pins += 1;
                    facts.push(Fact::SystemPinRevoked(Box::new(SystemPinRevoked {
                        system: id.to_string(),
                        spki_sha256: pin.spki_sha256.clone(),
                        at_ms: now.0,
                        actor: Some(by.clone()),
                    })));
                }
                if facts.is_empty() && what != Revoke::All {
                    return Err(Refusal::new(Name::NotFound).at(
                        "key",
                        format!("Hệ thống {id} không có khóa hay chứng thư này."),
                        format!("The system {id} has no such key or certificate."),
                    ));
                }
                revoked.streams_cut = self.inner.relay.streams(&id);
                Ok((facts, revoked))
            })
            .await
    }
}

fn key_added(id: &SystemId, number: u32, sealed: &[u8], by: &ledger::event::Actor, now: Ms) -> Fact {
    Fact::SystemKeyAdded(Box::new(SystemKeyAdded {
        system: id.to_string(),
        key_id: number,
        sealed: Bytes::copy_from_slice(sealed),
        at_ms: now.0,
        actor: Some(by.clone()),
        not_after_ms: None,
    }))
}

fn known_system(registry: &Registry, system: &str) -> Result<SystemId, Refusal> {
    let known = registry.system(system).and_then(|system| system.facts.system.parse().ok());
    known.ok_or_else(|| {
        Refusal::new(Name::NotFound).at(
            "id",
            format!("Không có hệ thống {system:?}."),
            format!("There is no system {system:?}."),
        )
    })
}

/// The agencies a new system is to serve. One that another system serves is refused, unless
/// that one has neither key nor pin left: then it is taken over.
fn served(
    registry: &Registry,
    id: &SystemId,
    wanted: &[String],
    by: &ledger::event::Actor,
    now: Ms,
) -> Result<(Vec<AgencyId>, Vec<Fact>), Refusal> {
    let mut agencies = Vec::new();
    let mut left: BTreeMap<SystemId, SystemRecorded> = BTreeMap::new();
    for code in wanted {
        let agency = registry.resolve(code).ok_or_else(|| {
            Refusal::new(Name::UnknownReceiver).at(
                "agency",
                format!("Mã cơ quan {code:?} không có trong danh mục; nhập danh mục trước (axis registry import)."),
                format!("The code {code:?} is not registered; import the registry first (axis registry import)."),
            )
        })?;
        if agencies.contains(&agency) {
            continue;
        }
        for other in registry.systems_of(agency) {
            let Some(system) = registry.system(other.as_str()) else { continue };
            if !system.keys.is_empty() || !system.pins.is_empty() {
                return Err(Refusal::new(Name::AlreadyExists).at(
                    "agency",
                    format!("Cơ quan {code} đang do hệ thống {other} phục vụ; thu hồi hệ thống đó trước (axis system revoke {other})."),
                    format!("The agency {code} is served by the system {other}; revoke that first (axis system revoke {other}), then {id} can take it over."),
                ));
            }
            let facts = left.entry(other.clone()).or_insert_with(|| system.facts.clone());
            facts.agencies.retain(|served| *served != agency.0);
            facts.at_ms = now.0;
            facts.actor = Some(by.clone());
        }
        agencies.push(agency);
    }
    let facts = left.into_values().map(|facts| Fact::SystemRecorded(Box::new(facts))).collect();
    Ok((agencies, facts))
}

fn agency_record(registry: &Registry, id: AgencyId, agency: &AgencyRecorded) -> AgencyRecord {
    let code = |id: u32| registry.agency(AgencyId(id)).map(|agency| agency.code.clone()).unwrap_or_default();
    AgencyRecord {
        id,
        code: agency.code.clone(),
        code_2020: agency.code_2020.clone(),
        other_codes: agency.other_codes.clone(),
        name: agency.name.clone(),
        parent: agency.parent.map(code).unwrap_or_default(),
        state: state_word(agency.state()),
        successors: agency.successors.iter().map(|id| code(*id)).collect(),
        systems: registry.systems_of(id).to_vec(),
        changed_at: Ms(agency.at_ms),
        changed_by: actor(agency.actor.as_ref()),
    }
}

fn system_record(registry: &Registry, system: &System) -> Option<SystemRecord> {
    let facts = &system.facts;
    let code = |id: &u32| registry.agency(AgencyId(*id)).map(|agency| agency.code.clone());
    Some(SystemRecord {
        id: facts.system.parse().ok()?,
        name: facts.name.clone(),
        agencies: facts.agencies.iter().filter_map(code).collect(),
        attachment: if facts.attachment() == Attachment::Amqp { "amqp" } else { "direct" },
        suspended: facts.suspended,
        keys: system.keys.iter().map(|key| (key.key_id, Ms(key.at_ms), actor(key.actor.as_ref()))).collect(),
        pins: system
            .pins
            .iter()
            .map(|pin| {
                let hash = crate::delivery::sha256_of(&pin.spki_sha256);
                (hash, pin.subject.clone(), Ms(pin.at_ms), actor(pin.actor.as_ref()))
            })
            .collect(),
        changed_at: Ms(facts.at_ms),
        changed_by: actor(facts.actor.as_ref()),
    })
}

/// Text for searching: lower case, without diacritics, đ as d.
fn plain(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'đ' { 'd' } else { c })
        .collect()
}

/// One row of a list.
#[derive(Debug)]
struct ListRow {
    number: u32,
    code: String,
    code_2020: String,
    name: String,
    parent: String,
}

impl ListRow {
    fn codes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("code", self.code.as_str()), ("code_2020", self.code_2020.as_str())]
            .into_iter()
            .filter(|(_, code)| !code.is_empty())
    }
}

fn problem(row: u32, column: &str, vi: impl Into<String>, en: impl Into<String>) -> ImportProblem {
    ImportProblem { row, column: column.to_owned(), message: vi.into(), message_en: en.into() }
}

fn rows(csv: &[u8]) -> Result<Vec<ListRow>, Vec<ImportProblem>> {
    let text = csv.strip_prefix("\u{feff}".as_bytes()).unwrap_or(csv);
    if std::str::from_utf8(text).is_err() {
        return Err(vec![problem(
            1,
            "",
            "Tệp không phải UTF-8; lưu lại dạng CSV UTF-8 rồi nhập lại.",
            "The file is not UTF-8; save it as CSV UTF-8 and import again.",
        )]);
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
    let headings = match reader.headers() {
        Ok(headings) => headings.clone(),
        Err(error) => return Err(vec![problem(1, "", format!("Không đọc được dòng tiêu đề: {error}."), format!("The header cannot be read: {error}."))]),
    };
    let column = |name: &str| headings.iter().position(|heading| heading.eq_ignore_ascii_case(name));
    let mut problems = Vec::new();
    let mut found = HashMap::new();
    for name in ["code", "code_2020", "name", "parent"] {
        match column(name) {
            Some(at) => {
                found.insert(name, at);
            }
            None => problems.push(problem(
                1,
                name,
                format!("Thiếu cột {name:?}; tiêu đề phải có code,code_2020,name,parent."),
                format!("The column {name:?} is missing; the header needs code,code_2020,name,parent."),
            )),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut rows = Vec::new();
    for (number, record) in (2..).zip(reader.records()) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(problem(number, "", format!("Không đọc được dòng này: {error}."), format!("The row cannot be read: {error}.")));
                continue;
            }
        };
        let cell = |name: &str| {
            found.get(name).and_then(|at| record.get(*at)).unwrap_or_default().to_owned()
        };
        let row = ListRow {
            number,
            code: cell("code"),
            code_2020: cell("code_2020"),
            name: cell("name"),
            parent: cell("parent"),
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        rows.push(row);
        if rows.len() > MAX_ROWS {
            problems.push(problem(number, "", format!("Quá {MAX_ROWS} dòng; chia nhỏ tệp."), format!("More than {MAX_ROWS} rows; split the file.")));
            break;
        }
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

/// What a list would change, and what is wrong with it.
fn plan(
    registry: &Registry,
    rows: &[ListRow],
    operator: &Operator,
    decision: &str,
    now: Ms,
) -> (Vec<Fact>, Imported) {
    let mut imported = Imported::default();
    let problems = &mut imported.problems;
    let mut in_list: HashMap<String, usize> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        if row.codes().next().is_none() {
            problems.push(problem(row.number, "code", "Thiếu mã cơ quan.", "The agency's code is missing."));
        }
        if row.name.is_empty() {
            problems.push(problem(row.number, "name", "Thiếu tên cơ quan.", "The agency's name is missing."));
        }
        if row.name.chars().count() > MAX_NAME {
            problems.push(problem(row.number, "name", format!("Tên dài quá {MAX_NAME} ký tự."), format!("The name is longer than {MAX_NAME} characters.")));
        }
        for (column, code) in row.codes() {
            if code.len() > 64 || code.chars().any(|c| c.is_whitespace() || c.is_control()) {
                problems.push(problem(row.number, column, format!("Mã {code:?} không hợp lệ."), format!("The code {code:?} is not valid.")));
            }
            if let Some(other) = in_list.insert(canonical_code(code), at)
                && other != at
            {
                let first = rows[other].number;
                problems.push(problem(row.number, column, format!("Mã {code} đã có ở dòng {first}."), format!("The code {code} stands in row {first} already.")));
            }
        }
    }
    // Which agency each row is: known by either code, or new.
    let mut next = registry.next_agency().0;
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let mut known = row.codes().filter_map(|(_, code)| registry.resolve(code));
        let first = known.next();
        if let (Some(first), Some(second)) = (first, known.next())
            && first != second
        {
            problems.push(problem(row.number, "code_2020", "Hai mã của dòng này đang thuộc hai cơ quan khác nhau.", "The two codes of this row belong to two different agencies."));
        }
        ids.push(first.unwrap_or_else(|| {
            let id = AgencyId(next);
            next += 1;
            id
        }));
    }
    let parent_of = |row: &ListRow| -> Result<Option<AgencyId>, ()> {
        if row.parent.is_empty() {
            return Ok(None);
        }
        let in_list = in_list.get(&canonical_code(&row.parent)).map(|at| ids[*at]);
        in_list.or_else(|| registry.resolve(&row.parent)).map(Some).ok_or(())
    };
    let mut parents: HashMap<AgencyId, AgencyId> = registry
        .agencies()
        .filter_map(|(id, agency)| agency.parent.map(|parent| (id, AgencyId(parent))))
        .collect();
    let mut facts = Vec::new();
    for (row, id) in rows.iter().zip(&ids) {
        let Ok(parent) = parent_of(row) else {
            problems.push(problem(row.number, "parent", format!("Mã cơ quan cấp trên {:?} không có trong tệp cũng như trong danh mục.", row.parent), format!("The parent {:?} is neither in the file nor registered.", row.parent)));
            continue;
        };
        match parent {
            Some(parent) => parents.insert(*id, parent),
            None => parents.remove(id),
        };
        let before = registry.agency(*id);
        let mut agency = before.cloned().unwrap_or_default();
        agency.agency = id.0;
        // A row with one code only keeps the other one that is known.
        if !row.code.is_empty() {
            agency.code.clone_from(&row.code);
        }
        if !row.code_2020.is_empty() {
            agency.code_2020.clone_from(&row.code_2020);
        }
        if agency.code.is_empty() {
            agency.code.clone_from(&agency.code_2020);
            agency.code_2020.clear();
        }
        agency.name.clone_from(&row.name);
        agency.parent = parent.map(|parent| parent.0);
        if agency.state() == AgencyState::Unspecified {
            agency.state = AgencyState::Active.into();
        }
        if before == Some(&agency) {
            imported.unchanged += 1;
            continue;
        }
        if before.is_some() {
            imported.changed += 1;
        } else {
            imported.added += 1;
        }
        agency.at_ms = now.0;
        agency.effective_at_ms = now.0;
        agency.actor = Some(operator.actor(""));
        agency.decision = decision.to_owned();
        facts.push(Fact::AgencyRecorded(Box::new(agency)));
    }
    for (row, id) in rows.iter().zip(&ids) {
        let mut at = *id;
        let mut steps = 0;
        while let Some(parent) = parents.get(&at) {
            at = *parent;
            steps += 1;
            if at == *id || steps > 64 {
                problems.push(problem(row.number, "parent", "Quan hệ cấp trên tạo thành vòng.", "The parents form a cycle."));
                break;
            }
        }
    }
    (facts, imported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator() -> Operator {
        Operator { uid: 0, person: "Lan".to_owned() }
    }

    fn planned(registry: &Registry, csv: &str) -> (Vec<Fact>, Imported) {
        plan(registry, &rows(csv.as_bytes()).unwrap(), &operator(), "", Ms(1))
    }

    #[test]
    fn a_list_is_taken_over_and_the_same_list_changes_nothing() {
        let csv = "\u{feff}code,code_2020,name,parent\n000.00.01.H99,H99.01,Sở Nội vụ,000.00.00.H99\n000.00.00.H99,H99,UBND tỉnh,\n";
        let mut registry = Registry::default();
        let (facts, imported) = planned(&registry, csv);
        assert_eq!((imported.added, imported.problems.len()), (2, 0));
        facts.iter().for_each(|fact| registry.apply(fact));
        let child = registry.resolve("H99.01").unwrap();
        let parent = registry.agency(child).unwrap().parent;
        assert_eq!(parent, registry.resolve("000.00.00.h99").map(|id| id.0));
        let (facts, imported) = planned(&registry, csv);
        assert_eq!((facts.len(), imported.unchanged), (0, 2));
        let (_, imported) = planned(&registry, &csv.replace("Sở Nội vụ", "Sở Nội vụ và Lao động"));
        assert_eq!((imported.changed, imported.unchanged), (1, 1));
    }

    #[test]
    fn problems_name_row_and_column() {
        let csv = "code,code_2020,name,parent\nA1,B1,Một,\nA1,,Hai,\n,,Ba,\nA4,,,X9\nA5,,Năm,A6\nA6,,Sáu,A5\n";
        let (_, imported) = planned(&Registry::default(), csv);
        let told: Vec<_> = imported.problems.iter().map(|p| (p.row, p.column.as_str())).collect();
        for expected in [(3, "code"), (4, "code"), (5, "name"), (5, "parent"), (6, "parent"), (7, "parent")] {
            assert!(told.contains(&expected), "{expected:?} not in {told:?}");
        }
        assert_eq!(rows(b"ma,ten\n").unwrap_err().len(), 4);
        assert_eq!(rows(b"code,code_2020,name,parent\n\xff\n").unwrap_err().len(), 1);
    }

    #[test]
    fn names_are_found_without_diacritics() {
        assert_eq!(plain("Sở Đất đai"), "so dat dai");
    }
}
