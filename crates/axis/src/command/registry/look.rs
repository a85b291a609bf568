//! Looking at the registry: nothing here changes anything.

use api::client::Client;
use api::v1;
use clap::Args;

use crate::failure::Failure;
use crate::shape::{Agency, Change, Difference};
use crate::{output, output::Paint};

use super::AskArgs;
use super::told::{self, state_vi};
use super::tree::Tree;

/// A question that may be asked of any moment.
#[derive(Debug, Args)]
struct DatedArgs {
    /// As of a day or a moment
    #[arg(long, value_name = "MOMENT")]
    as_of: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// A code: this agency and what lies under it
    code: Option<String>,
    /// Levels to draw
    #[arg(long, default_value_t = 20, hide_default_value = true)]
    depth: usize,
    /// Closed ones too
    #[arg(long)]
    closed: bool,
    #[command(flatten)]
    dated: DatedArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Parts of a code or a name, without regard to case and diacritics
    search: Option<String>,
    /// Only those in this state (requested, approved, active, suspended, closed, seen)
    #[arg(long, value_name = "STATE")]
    state: Vec<String>,
    /// Only those directly under this agency
    #[arg(long, value_name = "CODE")]
    parent: Option<String>,
    #[command(flatten)]
    dated: DatedArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Parts of a code or a name, without regard to case and diacritics
    #[arg(required = true)]
    words: Vec<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The code
    code: String,
    #[command(flatten)]
    dated: DatedArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AsOfArgs {
    /// A day (2025-06-30: its first moment) or a moment
    moment: String,
    /// Parts of a code or a name
    search: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// A code: the changes of this agency alone
    code: Option<String>,
    /// Recorded since this day or moment
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Only those that have not taken effect
    #[arg(long)]
    planned: bool,
    /// How many at most
    #[arg(long, default_value_t = 200)]
    limit: usize,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// From a day or a moment; with --versions the number of a published version
    from: String,
    /// To a day or a moment, or a version [default: now]
    to: Option<String>,
    /// FROM and TO are published versions
    #[arg(long)]
    versions: bool,
    #[command(flatten)]
    ask: AskArgs,
}

/// Every agency that matches, page after page.
pub(super) async fn all(
    client: &Client,
    mut request: v1::ListAgenciesRequest,
) -> Result<Vec<Agency>, Failure> {
    let mut found = Vec::new();
    loop {
        let page = client.list_agencies(request.clone()).await?;
        found.extend(page.agencies.iter().map(Agency::from));
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}

fn print_json<T: serde::Serialize>(objects: &[T]) -> Result<(), Failure> {
    for object in objects {
        output::json(object)?;
    }
    Ok(())
}

pub(super) async fn tree(args: TreeArgs) -> Result<(), Failure> {
    let DatedArgs { as_of, ask } = args.dated;
    let client = ask.connect().await?;
    let as_of = as_of.unwrap_or_default();
    let request = v1::ListAgenciesRequest {
        as_of: as_of.clone(),
        ..v1::ListAgenciesRequest::default()
    };
    let mut agencies = all(&client, request).await?;
    let root = match args.code {
        None => None,
        Some(code) => {
            let request = v1::GetAgencyRequest { code, as_of };
            Some(client.get_agency(request).await?.code)
        }
    };
    agencies.retain(|agency| {
        let named = root.as_ref() == Some(&agency.code);
        named || args.closed || !matches!(agency.state.as_str(), "closed" | "seen")
    });
    let tree = Tree::new(&agencies, root.as_deref());
    if ask.json {
        return tree
            .within(args.depth)
            .into_iter()
            .try_for_each(|agency| Ok(output::json(agency)?));
    }
    if agencies.is_empty() {
        return nobody();
    }
    output::line(tree.draw(args.depth, Paint::for_stdout()))?;
    Ok(())
}

fn nobody() -> Result<(), Failure> {
    output::line("Không có cơ quan nào (no agencies). Nhập danh mục: axis registry import FILE")?;
    Ok(())
}

fn print(agencies: Vec<Agency>, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&agencies);
    }
    if agencies.is_empty() {
        return nobody();
    }
    let rows = agencies.into_iter().map(|agency| {
        [
            agency.code,
            agency.code_2020.unwrap_or_default(),
            agency.name,
            agency.parent.unwrap_or_default(),
            state_vi(&agency.state).to_owned(),
            agency.systems.join(", "),
        ]
    });
    output::line(output::table(
        ["Mã", "Mã 2020", "Tên", "Cấp trên", "Tình trạng", "Hệ thống"],
        rows,
    ))?;
    Ok(())
}

pub(super) async fn list(args: ListArgs) -> Result<(), Failure> {
    let DatedArgs { as_of, ask } = args.dated;
    let client = ask.connect().await?;
    let request = v1::ListAgenciesRequest {
        search: args.search.unwrap_or_default(),
        states: args.state,
        parent: args.parent.unwrap_or_default(),
        as_of: as_of.unwrap_or_default(),
        ..v1::ListAgenciesRequest::default()
    };
    print(all(&client, request).await?, ask.json)
}

pub(super) async fn search(args: SearchArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let request = v1::ListAgenciesRequest {
        search: args.words.join(" "),
        ..v1::ListAgenciesRequest::default()
    };
    print(all(&client, request).await?, args.ask.json)
}

pub(super) async fn as_of(args: AsOfArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let request = v1::ListAgenciesRequest {
        search: args.search.unwrap_or_default(),
        as_of: args.moment,
        ..v1::ListAgenciesRequest::default()
    };
    print(all(&client, request).await?, args.ask.json)
}

pub(super) async fn show(args: ShowArgs) -> Result<(), Failure> {
    let DatedArgs { as_of, ask } = args.dated;
    let client = ask.connect().await?;
    let request = v1::GetAgencyRequest {
        code: args.code,
        as_of: as_of.unwrap_or_default(),
    };
    let agency = Agency::from(&client.get_agency(request).await?);
    if ask.json {
        output::json(&agency)?;
        return Ok(());
    }
    output::line(card(agency))?;
    Ok(())
}

/// An agency as a person reads it.
pub(super) fn card(agency: Agency) -> String {
    let text = Option::unwrap_or_default;
    let rows = [
        ("Mã (code)", agency.code),
        ("Mã 2020", text(agency.code_2020)),
        ("Mã khác (other codes)", agency.other_codes.join(", ")),
        ("Tên (name)", agency.name),
        ("Cấp trên (parent)", text(agency.parent)),
        ("Loại (kind)", text(agency.kind)),
        ("Cấp (level)", text(agency.level)),
        ("Liên hệ (contact)", text(agency.contact)),
        ("Trung tâm (centre)", text(agency.centre)),
        (
            "Tình trạng (state)",
            format!("{} ({})", state_vi(&agency.state), agency.state),
        ),
        ("Lý do (reason)", text(agency.reason)),
        ("Kế thừa (successors)", agency.successors.join(", ")),
        (
            "Văn bản gửi mã này",
            match agency.state.as_str() {
                "closed" if agency.forwards_to_successor => "chuyển cho cơ quan kế thừa".to_owned(),
                "closed" => "từ chối, nêu cơ quan kế thừa".to_owned(),
                _ => String::new(),
            },
        ),
        ("Mã trái mẫu vì", text(agency.irregular)),
        ("Hệ thống (systems)", agency.systems.join(", ")),
        ("Hiệu lực từ (since)", text(agency.effective_from)),
        ("Quyết định (decision)", text(agency.decision)),
        ("Thay đổi sắp tới (next)", text(agency.next_change)),
        (
            "Ghi nhận (changed)",
            format!("{} {}", text(agency.changed_at), text(agency.changed_by)),
        ),
    ];
    let rows = rows
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| [name.to_owned(), value]);
    output::table(["", ""], rows).trim_start().to_owned()
}

pub(super) async fn log(args: LogArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let mut request = v1::ListChangesRequest {
        code: args.code.unwrap_or_default(),
        since: args.since.unwrap_or_default(),
        planned_only: args.planned,
        ..v1::ListChangesRequest::default()
    };
    let mut changes = Vec::new();
    while changes.len() < args.limit {
        let page = client.list_changes(request.clone()).await?;
        changes.extend(page.changes.iter().map(Change::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    changes.truncate(args.limit);
    if args.ask.json {
        return print_json(&changes);
    }
    if changes.is_empty() {
        output::line("Không có thay đổi nào (no changes).")?;
    } else {
        output::line(told::changes(&changes))?;
    }
    Ok(())
}

pub(super) async fn diff(args: DiffArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let mut found: Vec<Difference> = Vec::new();
    if args.versions {
        let number = |text: &str| {
            text.parse::<u64>().map_err(|_| {
                Failure::usage(format!(
                    "{text:?} is no version; axis registry versions lists them"
                ))
            })
        };
        let to = args.to.as_deref().map_or(Ok(0), number)?;
        let request = v1::DiffPublicationsRequest {
            from: number(&args.from)?,
            to,
        };
        let answer = client.diff_publications(request).await?;
        found.extend(answer.agencies.iter().map(Difference::from));
    } else {
        let mut request = v1::DiffRegistryRequest {
            from: args.from,
            to: args.to.unwrap_or_default(),
            ..v1::DiffRegistryRequest::default()
        };
        loop {
            let page = client.diff_registry(request.clone()).await?;
            found.extend(page.agencies.iter().map(Difference::from));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
    }
    if args.ask.json {
        return print_json(&found);
    }
    if found.is_empty() {
        output::line("Không có gì khác nhau (no difference).")?;
    } else {
        output::line(told::differences(&found))?;
    }
    Ok(())
}
