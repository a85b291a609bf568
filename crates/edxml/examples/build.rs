//! Writes a document package to standard output, with the files named on the command line
//! attached in the manner of the national SDK:
//! `cargo run -p edxml --example build -- FILE… > package.edxml`

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use edxml::build::Document;
use edxml::{Date, DocumentType, Organ, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let from = Organ::new("000.00.12.H47", Some("Sở Nội vụ"));
    let to = Organ::new("000.00.13.H47", Some("Sở Tài chính"));
    let date = Date::new(2026, 3, 2).ok_or("no such day")?;
    let now = Timestamp::new(2026, 3, 2, 8, 30, 0).ok_or("no such time")?;
    let mut letter = Document::new(from, to, "12", "SNV-VP", date);
    letter.subject("V/v thử nghiệm liên thông").place("Huế");
    letter.kind(DocumentType::administrative(18).ok_or("no such kind")?);
    for path in std::env::args().skip(1) {
        let name = Path::new(&path).file_name().unwrap_or_default();
        letter.attach(name.to_string_lossy(), std::fs::read(&path)?)?;
    }
    let built = letter.finish(&now)?;
    for finding in &built.findings {
        eprintln!("{finding}");
    }
    std::io::stdout().write_all(&built.bytes)?;
    Ok(())
}
