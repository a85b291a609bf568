//! The lists of kinds of documents (reference section g.2).

use crate::package::DocumentType;

/// Văn bản quy phạm pháp luật, `Type` 1, from position 1 on.
const NORMATIVE: [&str; 13] = [
    "Hiến pháp",
    "Luật",
    "Pháp lệnh",
    "Lệnh",
    "Nghị quyết",
    "Nghị quyết liên tịch",
    "Nghị định",
    "Quyết định",
    "Thông tư",
    "Thông tư liên tịch",
    "Chỉ thị",
    "Bộ luật",
    "Văn bản quy phạm pháp luật của chính quyền địa phương ở đơn vị hành chính - kinh tế đặc biệt",
];

/// Văn bản hành chính, `Type` 2, from position 1 on. Positions 10 to 17 and 27 to 32 follow the
/// list of Thông tư 01/2011/TT-BNV.
const ADMINISTRATIVE: [&str; 32] = [
    "Nghị quyết (cá biệt)",
    "Quyết định (cá biệt)",
    "Chỉ thị",
    "Quy chế",
    "Quy định",
    "Thông cáo",
    "Thông báo",
    "Hướng dẫn",
    "Chương trình",
    "Kế hoạch",
    "Phương án",
    "Đề án",
    "Dự án",
    "Báo cáo",
    "Biên bản",
    "Tờ trình",
    "Hợp đồng",
    "Công văn",
    "Công điện",
    "Bản ghi nhớ",
    "Bản cam kết",
    "Bản thỏa thuận",
    "Giấy chứng nhận",
    "Giấy ủy quyền",
    "Giấy mời",
    "Giấy giới thiệu",
    "Giấy nghỉ phép",
    "Giấy đi đường",
    "Giấy biên nhận hồ sơ",
    "Phiếu gửi",
    "Phiếu chuyển",
    "Thư công",
];

impl DocumentType {
    /// Văn bản quy phạm pháp luật at this position of its list, from 1; `None` if there is none.
    pub fn normative(position: u32) -> Option<DocumentType> {
        DocumentType::at(1, position)
    }

    /// Văn bản hành chính at this position of its list, from 1; `None` if there is none.
    ///
    /// ```
    /// use edxml::DocumentType;
    /// assert_eq!(DocumentType::administrative(18).unwrap().name.as_deref(), Some("Công văn"));
    /// ```
    pub fn administrative(position: u32) -> Option<DocumentType> {
        DocumentType::at(2, position)
    }

    fn at(class: u32, position: u32) -> Option<DocumentType> {
        let mut kind = DocumentType {
            class: Some(class),
            detail: Some(position),
            name: None,
        };
        kind.name = Some(kind.listed()?.to_owned());
        Some(kind)
    }

    /// The name at this position in the list of the class; `None` if there is none. People read
    /// [`name`](DocumentType::name), which often says something else and is then right.
    ///
    /// ```
    /// use edxml::DocumentType;
    /// let kind = DocumentType { class: Some(2), detail: Some(18), name: None };
    /// assert_eq!(kind.listed(), Some("Công văn"));
    /// ```
    pub fn listed(&self) -> Option<&'static str> {
        let list: &[&str] = match self.class? {
            1 => &NORMATIVE,
            2 => &ADMINISTRATIVE,
            _ => return None,
        };
        let position = usize::try_from(self.detail?).ok()?;
        list.get(position.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_position_of_both_lists_has_its_name_and_no_other() {
        let listed = |class, detail| {
            DocumentType {
                class: Some(class),
                detail: Some(detail),
                name: None,
            }
            .listed()
        };
        for (class, length) in [(0, 0), (1, 13), (2, 32), (3, 0), (18, 0)] {
            let names: Vec<_> = (0..100).map(|detail| listed(class, detail)).collect();
            for (detail, name) in names.iter().enumerate() {
                assert_eq!(
                    name.is_some(),
                    (1..=length).contains(&detail),
                    "{class} {detail}"
                );
            }
            let distinct: BTreeSet<_> = names.iter().flatten().collect();
            assert_eq!(distinct.len(), length);
        }
        for (class, detail, name) in [
            (1, 1, "Hiến pháp"),
            (1, 5, "Nghị quyết"),
            (1, 7, "Nghị định"),
            (1, 12, "Bộ luật"),
            (2, 3, "Chỉ thị"),
            (2, 9, "Chương trình"),
            (2, 14, "Báo cáo"),
            (2, 18, "Công văn"),
            (2, 25, "Giấy mời"),
            (2, 32, "Thư công"),
        ] {
            assert_eq!(listed(class, detail), Some(name));
        }
        assert_eq!(DocumentType::default().listed(), None);
    }
}
