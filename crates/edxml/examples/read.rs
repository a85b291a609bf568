//! Prints what a package says: `cargo run -p edxml --example read -- FILE…`

use std::fs::File;
use std::io::BufReader;

use edxml::{Limits, Package, read_from};

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let reading = read_from(BufReader::new(File::open(&path)?), &Limits::default())?;
        println!("{path}");
        match &reading.package {
            None => println!(
                "  {:?}",
                reading.refusal().map(|finding| finding.message_en())
            ),
            Some(Package::Status(status)) => {
                let about = &status.response_for;
                println!("  from    {}", status.from.id);
                println!("  status  {} {}", status.code, status.code.label_vi());
                println!("  about   {:?} of {}", about.document_id, about.organ_id);
            }
            Some(Package::Document(document)) => {
                println!("  from    {}", document.from.id);
                for to in &document.to {
                    println!("  to      {}", to.id);
                }
                println!("  number  {}", document.code);
                println!("  kind    {}", document.business.kind.label_vi());
                println!("  urgency {}", document.other_info.priority.label_vi());
                for attachment in &document.attachments {
                    let name = attachment.name.as_deref().unwrap_or("?");
                    println!("  file    {name}, {} bytes", attachment.decoded_len);
                }
            }
        }
    }
    Ok(())
}
