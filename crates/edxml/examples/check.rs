//! Checks packages and prints what is found: `cargo run -p edxml --example check -- FILE…`

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

fn main() -> std::io::Result<ExitCode> {
    let mut refused = false;
    for path in std::env::args().skip(1) {
        let file = BufReader::with_capacity(64 * 1024, File::open(&path)?);
        let reading = edxml::read_from(file, &edxml::Limits::default())?;
        println!("{path}: {}", reading.verdict().as_str());
        for finding in &reading.findings {
            println!("  {finding}");
        }
        refused |= reading.refusal().is_some();
    }
    Ok(ExitCode::from(u8::from(refused)))
}
