//! Lists for people who look after the exchange: statuses whose document has not come (duty
//! STA-06), and numbers that are not unique in their year (duty EX-09).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::id::{AgencyId, PackageId};
use ledger::time::Ms;
use ledger::{Query, QueryError};

use crate::agencies::not_registered;
use crate::history::own_agencies;
use crate::made::number_and_notation;
use crate::refusal::Refusal;
use crate::service::{Caller, Exchange, party};
use crate::types::{Page, Party};

/// Rows read for one page at most; a page may be shorter than asked and have a next one.
const ROWS: usize = 5_000;
/// Documents told of one number.
const DOCUMENTS: usize = 100;

/// A status whose document has not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedStatus {
    /// Its package.
    pub package: PackageId,
    /// Who reports.
    pub from: Party,
    /// Whose document it is said to be.
    pub document_sender: Party,
    /// Its code.
    pub code: u8,
    /// When it was accepted; it was delivered then.
    pub at: Ms,
    /// ResponseFor/DocumentId; empty if it named none.
    pub document_id: String,
    /// ResponseFor/Code: number and notation.
    pub document_code: String,
    /// ResponseFor/PromulgationDate, as sent.
    pub promulgation_date: String,
    /// Its text.
    pub description: String,
}

/// Which numbers to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSearch {
    /// Of this agency only (any code).
    pub agency: Option<String>,
    /// Of this year only.
    pub year: Option<i32>,
    /// 0 = 100; at most 1,000.
    pub page_size: u32,
    /// Of the page before; empty for the first.
    pub page_token: String,
}

/// A number that more than one document of an agency has in one year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedNumber {
    /// The agency.
    pub agency: Party,
    /// The year of promulgation.
    pub year: i32,
    /// Number and notation.
    pub number: String,
    /// The documents, in no order that means something; at most 100.
    pub documents: Vec<NumberedDocument>,
}

/// One of the documents under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedDocument {
    /// Its first package.
    pub package: PackageId,
    /// The edXML DocumentId as sent.
    pub document_id: String,
    /// Its date as sent.
    pub promulgation_date: String,
    /// Its subject.
    pub subject: String,
    /// When it was accepted.
    pub accepted_at: Ms,
}

impl Exchange {
    /// Statuses whose document has not come. A system sees those from and to its agencies.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that is none.
    pub async fn unmatched(
        &self,
        caller: &Caller,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<UnmatchedStatus>, Refusal> {
        let registry = self.inner.ledger.registry();
        let mine = own_agencies(&registry, caller);
        let cursor = cursor(page_token)?;
        let size = size(page_size);
        let found = self.inner.ask(move |query| {
            let is_mine = |from: AgencyId, to: AgencyId| {
                mine.as_deref()
                    .is_none_or(|mine| mine.contains(&from) || mine.contains(&to))
            };
            let read = |query: &Query, cursor: &[u8], limit| query.unmatched(cursor, limit);
            let (rows, next) = page(query, cursor, size, read, |row| {
                is_mine(row.from, row.document_sender)
            })?;
            let mut items = Vec::with_capacity(rows.len());
            for row in rows {
                let status = query.package(row.package)?;
                let facts = status.map(|package| package.facts).unwrap_or_default();
                items.push((row, facts));
            }
            Ok((items, next))
        });
        let (rows, next) = found.await?;
        let items = rows.into_iter().map(|(row, facts)| {
            let status = facts.status.unwrap_or_default();
            UnmatchedStatus {
                package: row.package,
                from: party(&registry, row.from, &facts.sender_code),
                document_sender: party(&registry, row.document_sender, ""),
                code: u8::try_from(row.code).unwrap_or_default(),
                at: row.at,
                document_id: if ledger::rows::is_code_key(&status.document_key) {
                    String::new()
                } else {
                    status.document_key
                },
                document_code: status.document_code,
                promulgation_date: status.promulgation_date,
                description: status.description,
            }
        });
        Ok(Page {
            items: items.collect(),
            next,
        })
    }

    /// Numbers that are not unique in their year (NĐ 30/2020 Art. 15.1). A system sees its own
    /// agencies'.
    ///
    /// # Errors
    /// NOT_FOUND for an agency that is not registered; BAD_ARGUMENT for a token that is none.
    pub async fn repeated_numbers(
        &self,
        caller: &Caller,
        search: NumberSearch,
    ) -> Result<Page<RepeatedNumber>, Refusal> {
        let registry = self.inner.ledger.registry();
        let mine = own_agencies(&registry, caller);
        let cursor = cursor(&search.page_token)?;
        let size = size(search.page_size);
        let agency = match &search.agency {
            None => None,
            Some(code) => Some(
                registry
                    .resolve(code)
                    .ok_or_else(|| not_registered(code, "agency"))?,
            ),
        };
        let found = self.inner.ask(move |query| {
            let read =
                |query: &Query, cursor: &[u8], limit| query.repeated_numbers(agency, cursor, limit);
            let (rows, next) = page(query, cursor, size, read, |row| {
                search.year.is_none_or(|year| year == row.year)
                    && mine
                        .as_deref()
                        .is_none_or(|mine| mine.contains(&row.sender))
            })?;
            let mut numbers = Vec::with_capacity(rows.len());
            for row in rows {
                let mut documents = Vec::new();
                for id in row.packages.iter().take(DOCUMENTS) {
                    if let Some(package) = query.package(*id)? {
                        documents.push((*id, package.facts));
                    }
                }
                numbers.push((row.sender, row.year, documents));
            }
            Ok((numbers, next))
        });
        let (numbers, next) = found.await?;
        let items = numbers.into_iter().map(|(sender, year, documents)| {
            let first = documents
                .first()
                .and_then(|(_, facts)| facts.document.as_ref());
            RepeatedNumber {
                agency: party(&registry, sender, ""),
                year,
                number: first.map(number_and_notation).unwrap_or_default(),
                documents: documents
                    .into_iter()
                    .map(|(package, facts)| {
                        let document = facts.document.unwrap_or_default();
                        NumberedDocument {
                            package,
                            document_id: document.document_id.unwrap_or_default(),
                            promulgation_date: document.promulgation_date,
                            subject: document.subject,
                            accepted_at: Ms(facts.accepted_at_ms),
                        }
                    })
                    .collect(),
            }
        });
        Ok(Page {
            items: items.collect(),
            next,
        })
    }
}

/// Up to `size` rows that are `wanted`, and the token behind them; reads at most [`ROWS`].
fn page<R>(
    query: &Query,
    mut cursor: Vec<u8>,
    size: usize,
    read: impl Fn(&Query, &[u8], usize) -> Result<Vec<(R, Vec<u8>)>, QueryError>,
    wanted: impl Fn(&R) -> bool,
) -> Result<(Vec<R>, String), QueryError> {
    let mut found = Vec::new();
    let mut seen = 0;
    loop {
        let limit = size.max(100);
        let rows = read(query, &cursor, limit)?;
        let last = rows.len() < limit;
        for (row, behind) in rows {
            cursor = behind;
            seen += 1;
            if wanted(&row) {
                found.push(row);
            }
            if found.len() == size || seen == ROWS {
                return Ok((found, URL_SAFE_NO_PAD.encode(&cursor)));
            }
        }
        if last {
            return Ok((found, String::new()));
        }
    }
}

fn size(asked: u32) -> usize {
    match asked {
        0 => 100,
        asked => asked.min(1_000) as usize,
    }
}

fn cursor(token: &str) -> Result<Vec<u8>, Refusal> {
    match URL_SAFE_NO_PAD.decode(token) {
        Ok(bytes) if bytes.len() <= 64 => Ok(bytes),
        _ => Err(Refusal::argument(
            "page_token",
            "Mã trang không hợp lệ; dùng mã mà trang trước trả về.",
            "The page token is not valid; use the one that the page before gave.",
        )),
    }
}
