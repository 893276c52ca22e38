//! The report of a run directory: `page RUN OUT.html`.

use std::path::Path;

use tlora_report::{Run, page};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, out] = arguments.as_slice() else {
        return Err("usage: page RUN OUT.html".into());
    };
    fs_err::write(out, page(&Run::read(Path::new(run))?))?;
    Ok(())
}
