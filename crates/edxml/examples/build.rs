//! Writes a document package to standard output, with the files named on the command line
//! attached: `cargo run -p edxml --example build -- FILE… > package.edxml`

use std::io::Write as _;
use std::path::Path;

use edxml::write::{DocumentDraft, document};
use edxml::{Date, Organ};

fn main() -> std::io::Result<()> {
    let from = Organ::new("000.00.12.H47", Some("Sở Nội vụ"));
    let to = vec![Organ::new("000.00.13.H47", Some("Sở Tài chính"))];
    let Some(date) = Date::new(2026, 3, 2) else {
        return Ok(());
    };
    let mut draft = DocumentDraft::new(from, to, "12", "SNV-VP", date);
    draft.document.document_id = Some("000.00.12.H47,2026,12".to_owned());
    draft.document.subject = Some("V/v thử nghiệm liên thông".to_owned());
    for path in std::env::args().skip(1) {
        let name = Path::new(&path).file_name().unwrap_or_default();
        let bytes = std::fs::read(&path)?;
        draft.attach(name.to_string_lossy(), "application/octet-stream", bytes);
    }
    std::io::stdout().write_all(&document(&draft))
}
