//! A draft of one act of a registrar: changes laid over the registry, then checked as a whole.
//!
//! The changes are tried on a copy of the registry, which is cheap, and the copy is asked, at
//! every moment from the change on, whether it is still sound. What was unsound before is not
//! held against the act.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ledger::Fact;
use ledger::event::{
    Actor, AgenciesChanged, AgencyChange, AgencyOperation, AgencyState, ServiceChanged,
};
use ledger::id::{AgencyId, SystemId};
use ledger::registry::{Agency, EVERYTHING, Field, Life, Registry, canonical_code, state_word};
use ledger::time::Ms;

use crate::agencies::not_registered;
use crate::refusal::{Detail, Name, Refusal};
use crate::types::AgencyDifference;

/// The longest name: OrganName's limit is 200 characters; longer ones are met.
const MAX_NAME: usize = 500;
/// The longest code that is kept, whatever its form.
const MAX_CODE: usize = 64;
/// The highest tree: deeper is a cycle.
const MAX_DEPTH: usize = 64;
/// Things at fault told of one act.
const MAX_TOLD: usize = 100;
/// Agencies of an act that are all looked at again at each later moment; of more, those alone
/// that a moment may concern.
const FEW: usize = 64;

/// Changes being made of one registry.
#[derive(Debug)]
pub(crate) struct Draft {
    base: Registry,
    /// The registry with the changes, as of the moment they are true from.
    trial: Registry,
    now: Ms,
    actor: Actor,
    effective: Ms,
    decision: String,
    acts: Vec<AgenciesChanged>,
    /// Where the act of a moment and a decision stands among them.
    act_of: HashMap<(Ms, String), usize>,
    services: Vec<Fact>,
    touched: Vec<Touched>,
    problems: Vec<AtFault>,
}

/// Something at fault in a draft.
#[derive(Debug)]
pub(crate) struct AtFault {
    /// Whose fault it is, where it is one agency's.
    pub(crate) agency: Option<AgencyId>,
    pub(crate) detail: Detail,
}

/// What an act changed of one agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) agency: AgencyId,
    /// Of the change in the agency's history.
    pub(crate) number: u32,
}

impl Draft {
    /// A draft of changes that are true from `effective` on.
    pub(crate) fn new(
        registry: &Registry,
        actor: Actor,
        now: Ms,
        effective: Ms,
        decision: &str,
    ) -> Self {
        Self {
            base: registry.clone(),
            trial: registry.as_of(effective),
            now,
            actor,
            effective,
            decision: decision.to_owned(),
            acts: Vec::new(),
            act_of: HashMap::new(),
            services: Vec::new(),
            touched: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// What follows is true from another moment on, by another decision: a list may say them row
    /// by row.
    pub(crate) fn order(&mut self, effective: Ms, decision: &str) {
        if self.effective != effective || self.decision != decision {
            self.effective = effective;
            decision.clone_into(&mut self.decision);
            self.trial = self.trial.as_of(effective);
        }
    }

    /// The registry with what the draft changed, as of the moment it is true from.
    pub(crate) const fn registry(&self) -> &Registry {
        &self.trial
    }

    /// The registry before the draft, as of now.
    pub(crate) const fn before(&self) -> &Registry {
        &self.base
    }

    pub(crate) const fn effective(&self) -> Ms {
        self.effective
    }

    /// Whether it is to be true later than now.
    pub(crate) fn is_planned(&self) -> bool {
        self.effective > self.now
    }

    /// Something is at fault; told with the rest when the draft is checked.
    pub(crate) fn fault(&mut self, code: &str, path: &str, vi: String, en: String) {
        self.fault_of(None, code, path, vi, en);
    }

    fn fault_of(
        &mut self,
        agency: Option<AgencyId>,
        code: &str,
        path: &str,
        message: String,
        message_en: String,
    ) {
        let detail = Detail {
            code: code.to_owned(),
            path: path.to_owned(),
            message,
            message_en,
            ..Detail::default()
        };
        self.problems.push(AtFault { agency, detail });
    }

    /// The agency with this code, as the draft has it.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub(crate) fn find(&self, code: &str, path: &str) -> Result<AgencyId, Refusal> {
        // One that is there now and another one then: the code means whom it means then.
        self.trial
            .resolve(code)
            .ok_or_else(|| not_registered(code, path))
    }

    /// A new agency.
    pub(crate) fn add(&mut self, mut agency: Agency, operation: AgencyOperation) -> AgencyId {
        let id = self.trial.next_agency();
        self.check_texts(&Agency::default(), &mut agency);
        self.record(id, &agency, EVERYTHING, operation);
        id
    }

    /// Changes an agency; `false` if nothing of it is new.
    pub(crate) fn set(
        &mut self,
        id: AgencyId,
        operation: AgencyOperation,
        change: impl FnOnce(&mut Agency),
    ) -> bool {
        let Some(before) = self.trial.agency(id).cloned() else {
            let first = self
                .trial
                .life(id)
                .and_then(|life| life.versions().first())
                .map_or_else(String::new, |version| version.from.iso());
            self.fault(
                "BEFORE_FIRST",
                "effective",
                format!("Cơ quan {id} chưa có trong danh mục trước {first}; chọn thời điểm từ đó trở đi."),
                format!("The agency {id} is not registered before {first}; choose a moment from then on."),
            );
            return false;
        };
        let mut after = before.clone();
        change(&mut after);
        self.check_texts(&before, &mut after);
        let sets = before.differs(&after);
        if sets == 0 {
            return false;
        }
        self.record(id, &after, sets, operation);
        true
    }

    /// An agency as a list has it, new or known; what is wrong with it the list's reader tells.
    pub(crate) fn put(&mut self, id: AgencyId, agency: Agency, operation: AgencyOperation) {
        let sets = match self.trial.agency(id) {
            Some(before) => before.differs(&agency),
            None => EVERYTHING,
        };
        if sets != 0 {
            self.record(id, &agency, sets, operation);
        }
    }

    /// The system that serves agencies from the draft's moment on.
    pub(crate) fn serve(
        &mut self,
        agencies: Vec<u32>,
        system: Option<&SystemId>,
        until: Option<Ms>,
    ) {
        let fact = Fact::ServiceChanged(Box::new(ServiceChanged {
            system: system.map(ToString::to_string).unwrap_or_default(),
            agencies,
            from_ms: self.effective.0,
            until_ms: until.map(|until| until.0),
            at_ms: self.now.0,
            actor: Some(self.actor.clone()),
            decision: self.decision.clone(),
        }));
        self.trial.apply(&fact);
        self.services.push(fact);
    }

    fn record(&mut self, id: AgencyId, agency: &Agency, sets: u32, operation: AgencyOperation) {
        let change = AgencyChange {
            to: Some(agency.values(id)),
            sets,
            operation: operation.into(),
            number: 0,
        };
        let act = AgenciesChanged {
            at_ms: self.now.0,
            effective_at_ms: self.effective.0,
            actor: Some(self.actor.clone()),
            decision: self.decision.clone(),
            changes: vec![change],
        };
        self.trial
            .apply(&Fact::AgenciesChanged(Box::new(act.clone())));
        self.touched.push(Touched {
            agency: id,
            number: self.trial.life(id).map_or(0, Life::revision),
        });
        let key = (self.effective, act.decision.clone());
        let place = *self.act_of.entry(key).or_insert(self.acts.len());
        match self.acts.get_mut(place) {
            Some(made) => made.changes.extend(act.changes),
            None => self.acts.push(act),
        }
    }

    /// Codes and names as they are kept: composed (NFC), without white space around; and what is
    /// wrong with those that are new.
    fn check_texts(&mut self, before: &Agency, after: &mut Agency) {
        let trimmed = |text: &mut Box<str>| {
            let kept = crate::admission::document_key(text);
            if *kept != **text {
                *text = kept.into();
            }
        };
        for text in [
            &mut after.code,
            &mut after.code_2020,
            &mut after.name,
            &mut after.kind,
            &mut after.level,
            &mut after.contact,
            &mut after.centre,
            &mut after.irregular,
            &mut after.reason,
        ] {
            trimmed(text);
        }
        after.other_codes.iter_mut().for_each(trimmed);
        let had: BTreeSet<String> = before.codes().map(canonical_code).collect();
        let codes: Vec<(&str, String)> = [("code", &after.code), ("code_2020", &after.code_2020)]
            .into_iter()
            .chain(after.other_codes.iter().map(|code| ("other_codes", code)))
            .filter(|(_, code)| !code.is_empty())
            .map(|(path, code)| (path, code.to_string()))
            .collect();
        let irregular = !after.irregular.is_empty();
        for (path, code) in &codes {
            if !had.contains(&canonical_code(code)) {
                self.check_code(path, code, irregular);
            }
        }
        if codes.is_empty() {
            self.fault(
                "CODE_MISSING",
                "code",
                "Thiếu mã cơ quan.".to_owned(),
                "The agency's code is missing.".to_owned(),
            );
        }
        if after.name != before.name {
            self.check_name(&after.name);
        }
    }

    fn check_name(&mut self, name: &str) {
        if name.is_empty() {
            self.fault(
                "NAME",
                "name",
                "Thiếu tên cơ quan.".to_owned(),
                "The agency's name is missing.".to_owned(),
            );
        } else if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            self.fault(
                "NAME",
                "name",
                format!("Tên dài quá {MAX_NAME} ký tự hoặc có ký tự điều khiển."),
                format!("The name is longer than {MAX_NAME} characters or has control characters."),
            );
        }
    }

    fn check_code(&mut self, path: &str, code: &str, irregular: bool) {
        use edxml::identifier::AgencyCode;
        // No reason makes a code good that reads like another one.
        if let Some(odd) = code.chars().find(|c| !c.is_ascii()) {
            let number = u32::from(odd);
            let like = look_alike(odd);
            let (vi, en) = like.map_or_else(Default::default, |like| {
                (
                    format!(", trông giống chữ Latinh {like}"),
                    format!(", which looks like the Latin {like}"),
                )
            });
            self.fault(
                "CODE_LOOKALIKE",
                path,
                format!("Mã {code:?} có ký tự {odd} (U+{number:04X}){vi}; mã chỉ gồm A–Z, 0–9 và dấu chấm. Gõ lại mã."),
                format!("The code {code:?} has the character {odd} (U+{number:04X}){en}; a code has A–Z, 0–9 and dots only. Type it again."),
            );
            return;
        }
        if code.len() > MAX_CODE || code.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.fault(
                "CODE_FORM",
                path,
                format!("Mã {code:?} có khoảng trắng hoặc dài quá {MAX_CODE} ký tự."),
                format!("The code {code:?} has white space or more than {MAX_CODE} characters."),
            );
            return;
        }
        if let edxml::identifier::Form::Irregular(rule) = AgencyCode::new(code).form()
            && !irregular
        {
            let rule_vi = rule.text_vi();
            self.fault(
                "CODE_FORM",
                path,
                format!("Mã {code:?} không theo mẫu nào: {rule_vi}. QCVN 102:2016: 000.00.00.H99, 13 ký tự; QĐ 20/2020: H99.01, tối đa 35 ký tự; doanh nghiệp: 10 chữ số. Nếu đúng là mã đang dùng, ghi lý do (--irregular --why)."),
                format!("The code {code:?} follows no form: {rule}. QCVN 102:2016: 000.00.00.H99, 13 characters; Decision 20/2020: H99.01, at most 35; enterprises: 10 digits. If the code is in use all the same, say why (--irregular --why)."),
            );
        }
    }

    /// Checks the whole and gives the facts to record, in order, and what they touch.
    ///
    /// # Errors
    /// BAD_REGISTRY with each thing at fault.
    pub(crate) fn finish(self) -> Result<(Vec<Fact>, Vec<Touched>, Registry), Refusal> {
        self.checked().map_err(|faults| {
            let mut refusal = Refusal::new(Name::BadRegistry);
            let details = faults.into_iter().map(|fault| fault.detail);
            refusal.details = details.take(MAX_TOLD).collect();
            refusal
        })
    }

    /// The same, with whose fault each thing is.
    ///
    /// # Errors
    /// Each thing at fault, the first ones.
    pub(crate) fn checked(mut self) -> Result<(Vec<Fact>, Vec<Touched>, Registry), Vec<AtFault>> {
        if self.problems.is_empty() {
            self.check_whole();
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let acts = self.acts.into_iter().map(Box::new);
        let facts = acts.map(Fact::AgenciesChanged).chain(self.services);
        Ok((facts.collect(), self.touched, self.trial))
    }

    /// Asks the registry, at each moment from the first change on, whether it is sound.
    fn check_whole(&mut self) {
        let effective = self.acts.iter().map(|act| Ms(act.effective_at_ms));
        let Some(first) = effective.min() else { return };
        let touched: BTreeSet<AgencyId> = self.touched.iter().map(|one| one.agency).collect();
        let begins = (touched.len() > FEW).then(|| beginnings(&self.trial, first));
        let mut told: BTreeSet<(AgencyId, &'static str)> = BTreeSet::new();
        let mut at = Some(first);
        while let Some(moment) = at {
            let (after, before) = (self.trial.as_of(moment), self.base.as_of(moment));
            at = after.next_moment();
            let mut children = Children::default();
            let mut former = Children::default();
            let near = begins.as_ref().map(|begins| {
                let begun = begins.get(&moment).map_or(&[][..], Vec::as_slice);
                concerned(&after, begun, &mut children)
            });
            let asked = touched
                .iter()
                .copied()
                .filter(|id| near.as_ref().is_none_or(|near| near.contains(id)));
            for id in asked {
                let faults = unsound(&after, id, &mut children);
                if faults.is_empty() {
                    continue;
                }
                let old = unsound(&before, id, &mut former);
                for fault in faults {
                    if old.contains(&fault) || !told.insert((id, fault.name())) {
                        continue;
                    }
                    let (path, vi, en) = fault.told(&after, id, moment);
                    self.fault_of(Some(id), fault.name(), path, vi, en);
                }
                if self.problems.len() > MAX_TOLD {
                    return;
                }
            }
        }
    }
}

/// The agencies of which something begins at each moment from the first on.
fn beginnings(registry: &Registry, first: Ms) -> BTreeMap<Ms, Vec<AgencyId>> {
    let mut begins: BTreeMap<Ms, Vec<AgencyId>> = BTreeMap::new();
    for id in registry.ids() {
        let versions = registry.life(id).map_or(&[][..], Life::versions);
        for version in versions.iter().filter(|version| version.from >= first) {
            begins.entry(version.from).or_default().push(id);
        }
    }
    begins
}

/// Who may be sound or unsound otherwise when something of these begins: they, those above and,
/// if they are closed, those under them, and all that ever have one of their codes.
fn concerned(
    registry: &Registry,
    begun: &[AgencyId],
    children: &mut Children,
) -> HashSet<AgencyId> {
    let mut near: HashSet<AgencyId> = begun.iter().copied().collect();
    for id in begun.iter().copied() {
        let Some(agency) = registry.agency(id) else {
            continue;
        };
        for code in agency.codes() {
            near.extend(registry.claims(code));
        }
        if agency.state == AgencyState::Closed {
            near.extend(children.of(registry, id));
        }
        let mut above = agency.parent;
        let mut steps = 0;
        while let Some(parent) = above.filter(|_| steps <= MAX_DEPTH) {
            near.insert(parent);
            steps += 1;
            above = registry.agency(parent).and_then(|agency| agency.parent);
        }
    }
    near
}

/// The Latin letter that another script's letter looks like.
fn look_alike(c: char) -> Option<char> {
    const PAIRS: &[(char, char)] = &[
        ('А', 'A'),
        ('В', 'B'),
        ('С', 'C'),
        ('Е', 'E'),
        ('Н', 'H'),
        ('І', 'I'),
        ('К', 'K'),
        ('М', 'M'),
        ('О', 'O'),
        ('Р', 'P'),
        ('Т', 'T'),
        ('Х', 'X'),
        ('Α', 'A'),
        ('Β', 'B'),
        ('Ε', 'E'),
        ('Η', 'H'),
        ('Ι', 'I'),
        ('Κ', 'K'),
        ('Μ', 'M'),
        ('Ν', 'N'),
        ('Ο', 'O'),
        ('Ρ', 'P'),
        ('Τ', 'T'),
        ('Χ', 'X'),
        ('Ζ', 'Z'),
    ];
    let pair = PAIRS.iter().find(|(odd, _)| *odd == c);
    pair.map(|(_, latin)| *latin)
}

/// Who stands under whom at one moment, made once when it is first asked.
#[derive(Default)]
struct Children(Option<HashMap<AgencyId, Vec<AgencyId>>>);

impl Children {
    fn of(&mut self, registry: &Registry, id: AgencyId) -> &[AgencyId] {
        let map = self.0.get_or_insert_with(|| children(registry));
        map.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// The open agencies directly under each.
pub(crate) fn children(registry: &Registry) -> HashMap<AgencyId, Vec<AgencyId>> {
    let mut map: HashMap<AgencyId, Vec<AgencyId>> = HashMap::new();
    for (id, agency) in registry.agencies() {
        if let Some(parent) = agency.parent
            && agency.state != AgencyState::Closed
        {
            map.entry(parent).or_default().push(id);
        }
    }
    map
}

/// What is wrong with an agency at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    CodeTaken { code: String, by: AgencyId },
    ParentUnknown,
    ParentClosed { parent: AgencyId },
    ParentCycle,
    ChildrenOpen { children: Vec<AgencyId> },
    SuccessorItself,
}

impl Fault {
    const fn name(&self) -> &'static str {
        match self {
            Self::CodeTaken { .. } => "CODE_TAKEN",
            Self::ParentUnknown => "PARENT_UNKNOWN",
            Self::ParentClosed { .. } => "PARENT_CLOSED",
            Self::ParentCycle => "PARENT_CYCLE",
            Self::ChildrenOpen { .. } => "CHILDREN_OPEN",
            Self::SuccessorItself => "MERGE_INTO_ITSELF",
        }
    }

    fn told(&self, registry: &Registry, id: AgencyId, at: Ms) -> (&'static str, String, String) {
        let who = |id: AgencyId| {
            registry.agency(id).map_or_else(
                || id.to_string(),
                |agency| format!("{} ({})", agency.code, agency.name),
            )
        };
        let (me, at) = (who(id), at.iso());
        match self {
            Self::CodeTaken { code, by } => {
                let by = who(*by);
                (
                    "code",
                    format!("Mã {code} của {me} trùng với {by} từ {at}."),
                    format!("The code {code} of {me} is {by}'s as well, from {at} on."),
                )
            }
            Self::ParentUnknown => (
                "parent",
                format!("Cơ quan cấp trên của {me} chưa có trong danh mục vào {at}."),
                format!("The parent of {me} is not registered at {at}."),
            ),
            Self::ParentClosed { parent } => {
                let parent = who(*parent);
                (
                    "parent",
                    format!("Cơ quan cấp trên {parent} của {me} đã đóng từ {at}."),
                    format!("The parent {parent} of {me} is closed from {at} on."),
                )
            }
            Self::ParentCycle => (
                "parent",
                format!("Quan hệ cấp trên của {me} tạo thành vòng từ {at}."),
                format!("The parents of {me} form a cycle from {at} on."),
            ),
            Self::ChildrenOpen { children } => {
                let first: Vec<_> = children.iter().take(5).map(|id| who(*id)).collect();
                let (count, list) = (children.len(), first.join(", "));
                (
                    "children",
                    format!(
                        "{me} đóng mà còn {count} cơ quan trực thuộc: {list}. Nói rõ đóng theo hay chuyển về cơ quan nào (--close-children hoặc --children-to; trong danh sách: thêm dòng cho chúng)."
                    ),
                    format!(
                        "{me} is closed with {count} agencies under it: {list}. Say whether they close too or move (--close-children or --children-to; in a list: give them rows)."
                    ),
                )
            }
            Self::SuccessorItself => (
                "successors",
                format!("{me} không thể kế thừa chính mình."),
                format!("{me} cannot be its own successor."),
            ),
        }
    }
}

/// Whether an agency in this state holds its codes and its place in the tree.
const fn stands(state: AgencyState) -> bool {
    !matches!(
        state,
        AgencyState::Closed | AgencyState::Seen | AgencyState::Unspecified
    )
}

fn unsound(registry: &Registry, id: AgencyId, children: &mut Children) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some(agency) = registry.agency(id) else {
        return faults;
    };
    if agency.successors.contains(&id) {
        faults.push(Fault::SuccessorItself);
    }
    if agency.state == AgencyState::Closed {
        let open = children.of(registry, id);
        if !open.is_empty() {
            faults.push(Fault::ChildrenOpen {
                children: open.to_vec(),
            });
        }
        return faults;
    }
    if stands(agency.state) {
        for code in agency.codes() {
            let canonical = canonical_code(code);
            let others = registry.claims(code).iter().filter(|other| **other != id);
            for other in others {
                let has = registry.agency(*other).is_some_and(|other| {
                    stands(other.state) && other.codes().any(|has| canonical_code(has) == canonical)
                });
                if has {
                    faults.push(Fault::CodeTaken {
                        code: code.to_owned(),
                        by: *other,
                    });
                }
            }
        }
    }
    if let Some(parent) = agency.parent {
        match registry.agency(parent).map(Agency::state) {
            None => faults.push(Fault::ParentUnknown),
            Some(AgencyState::Closed) => faults.push(Fault::ParentClosed { parent }),
            Some(_) => {}
        }
        let mut above = Some(parent);
        let mut steps = 0;
        while let Some(next) = above {
            steps += 1;
            if next == id || steps > MAX_DEPTH {
                faults.push(Fault::ParentCycle);
                break;
            }
            above = registry.agency(next).and_then(|agency| agency.parent);
        }
    }
    faults
}

/// One field that differs, for people: the word, before, after.
pub(crate) type FieldText = (&'static str, String, String);

/// The fields in which two states of an agency differ, as text.
pub(crate) fn field_texts(registry: &Registry, before: &Agency, after: &Agency) -> Vec<FieldText> {
    let code = |id: AgencyId| {
        registry
            .agency(id)
            .map_or_else(|| id.to_string(), |agency| agency.code.to_string())
    };
    let text = |agency: &Agency, field: Field| match field {
        Field::Code => agency.code.to_string(),
        Field::Code2020 => agency.code_2020.to_string(),
        Field::OtherCodes => agency.other_codes.join(" "),
        Field::Name => agency.name.to_string(),
        Field::Parent => agency.parent.map(code).unwrap_or_default(),
        Field::State if agency.state == AgencyState::Unspecified => String::new(),
        Field::State => state_word(agency.state).to_owned(),
        Field::Successors => {
            let codes: Vec<_> = agency.successors.iter().map(|id| code(*id)).collect();
            codes.join(" ")
        }
        Field::Kind => agency.kind.to_string(),
        Field::Level => agency.level.to_string(),
        Field::Contact => agency.contact.to_string(),
        Field::Centre => agency.centre.to_string(),
        Field::ForwardsToSuccessor => agency.forwards_to_successor.to_string(),
        Field::FetchesNothingSuspended => agency.fetches_nothing_suspended.to_string(),
        Field::Irregular => agency.irregular.to_string(),
        Field::Reason => agency.reason.to_string(),
    };
    let differs = before.differs(after);
    let fields = Field::ALL.into_iter();
    fields
        .filter(|field| differs & field.bit() != 0)
        .map(|field| (field.word(), text(before, field), text(after, field)))
        .collect()
}

/// How one agency differs between two moments, if it does.
pub(crate) fn difference(from: &Registry, to: &Registry, id: AgencyId) -> Option<AgencyDifference> {
    let (before, after) = (from.agency(id), to.agency(id));
    let what = match (before, after) {
        (None, Some(_)) => "added",
        (Some(_), None) => "removed",
        (Some(before), Some(after)) if before != after => "changed",
        _ => return None,
    };
    let none = Agency::default();
    let told = after.or(before)?;
    Some(AgencyDifference {
        agency: id,
        code: told.code.to_string(),
        name: told.name.to_string(),
        what,
        fields: field_texts(to, before.unwrap_or(&none), after.unwrap_or(&none)),
    })
}
