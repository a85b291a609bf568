//! What is told of agencies and their changes, in Vietnamese.

use crate::output;
use crate::shape::{Change, Difference, FieldChange};

/// The state of an agency.
pub(super) fn state_vi(state: &str) -> &str {
    match state {
        "requested" => "đề nghị",
        "approved" => "đã duyệt",
        "active" => "hoạt động",
        "suspended" => "tạm dừng",
        "closed" => "đã đóng",
        "seen" => "chưa đăng ký",
        other => other,
    }
}

/// What a change did.
fn operation_vi(operation: &str) -> &str {
    match operation {
        "add" => "thêm mới",
        "request" => "đề nghị",
        "approve" => "phê duyệt",
        "activate" => "đưa vào hoạt động",
        "rename" => "đổi tên",
        "recode" => "đổi mã",
        "move" => "chuyển cấp trên",
        "describe" | "change" => "cập nhật",
        "policy" => "đổi chính sách",
        "suspend" => "tạm dừng",
        "resume" => "hoạt động lại",
        "close" => "đóng",
        "reopen" => "mở lại",
        "merge" => "sáp nhập",
        "split" => "chia tách",
        "import" => "nhập danh mục",
        "record" => "ghi nhận",
        other => other,
    }
}

/// A column of an agency.
fn field_vi(field: &str) -> &str {
    match field {
        "code" => "mã",
        "code_2020" => "mã 2020",
        "other_codes" => "mã khác",
        "name" => "tên",
        "parent" => "cấp trên",
        "state" => "tình trạng",
        "successors" => "kế thừa",
        "kind" => "loại",
        "level" => "cấp",
        "contact" => "liên hệ",
        "centre" => "trung tâm",
        "forwards_to_successor" => "chuyển tiếp cho cơ quan kế thừa",
        "fetches_nothing_suspended" => "không nhận khi tạm dừng",
        "irregular" => "lý do mã trái mẫu",
        "reason" => "lý do",
        "effective" => "hiệu lực từ",
        "decision" => "quyết định",
        other => other,
    }
}

/// What became of an agency in a list.
fn what_vi(what: &str) -> &str {
    match what {
        "added" => "+ thêm",
        "removed" => "- bớt",
        "changed" => "~ đổi",
        "missing_there" => "thiếu ở danh sách kia",
        "missing_here" => "thiếu ở đây",
        "differs" => "khác nhau",
        "closed_there" => "bên kia đã đóng",
        "closed_here" => "ở đây đã đóng",
        other => other,
    }
}

fn value(field: &str, value: Option<&String>) -> String {
    match (field, value) {
        (_, None) => "(trống)".to_owned(),
        ("state", Some(state)) => state_vi(state).to_owned(),
        (_, Some(text)) => text.clone(),
    }
}

fn fields_vi(fields: &[FieldChange]) -> String {
    let told = fields.iter().map(|change| {
        let FieldChange {
            field,
            before,
            after,
        } = change;
        match before {
            None => format!("{}: {}", field_vi(field), value(field, after.as_ref())),
            Some(_) => format!(
                "{}: {} → {}",
                field_vi(field),
                value(field, before.as_ref()),
                value(field, after.as_ref())
            ),
        }
    });
    told.collect::<Vec<_>>().join("\n")
}

/// The first ten and five characters of a moment: day and minute.
fn minute(moment: &str) -> String {
    match (moment.get(..10), moment.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute}"),
        _ => moment.to_owned(),
    }
}

/// Changes as a table.
pub(super) fn changes(changes: &[Change]) -> String {
    let rows = changes.iter().map(|change| {
        let mut why: Vec<&str> = [&change.decision, &change.why]
            .into_iter()
            .filter_map(|text| text.as_deref())
            .collect();
        if change.planned {
            why.push("(chưa đến ngày)");
        }
        [
            minute(&change.effective),
            change.code.clone(),
            change.number.to_string(),
            operation_vi(&change.operation).to_owned(),
            fields_vi(&change.fields),
            change.by.clone().unwrap_or_default(),
            why.join(" · "),
        ]
    });
    output::table(
        [
            "Hiệu lực",
            "Mã",
            "Số",
            "Việc",
            "Nội dung",
            "Người làm",
            "Căn cứ",
        ],
        rows,
    )
}

/// Differences as a table.
pub(super) fn differences(differences: &[Difference]) -> String {
    let rows = differences.iter().map(|difference| {
        [
            what_vi(&difference.what).to_owned(),
            difference.code.clone(),
            difference.name.clone(),
            // Of one that is new, code and name say it.
            if difference.what == "added" {
                String::new()
            } else {
                fields_vi(&difference.fields)
            },
        ]
    });
    output::table(["Việc", "Mã", "Tên", "Nội dung"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(field: &str, before: &str, after: &str) -> FieldChange {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        FieldChange {
            field: field.to_owned(),
            before: some(before),
            after: some(after),
        }
    }

    #[test]
    fn differences_are_a_table_in_vietnamese() {
        let all = [
            Difference {
                row: None,
                what: "added".to_owned(),
                code: "H99.5".to_owned(),
                name: "Sở Nông nghiệp và Môi trường".to_owned(),
                fields: Vec::new(),
            },
            Difference {
                row: None,
                what: "changed".to_owned(),
                code: "H99.2".to_owned(),
                name: "Sở Tài nguyên".to_owned(),
                fields: vec![
                    field("state", "active", "closed"),
                    field("successors", "", "H99.5"),
                ],
            },
        ];
        insta::assert_snapshot!(differences(&all), @r"
        Việc    Mã     Tên                           Nội dung
        + thêm  H99.5  Sở Nông nghiệp và Môi trường
        ~ đổi   H99.2  Sở Tài nguyên                 tình trạng: hoạt động → đã đóng
                                                     kế thừa: H99.5
        ");
    }
}
