//! Prints what an adapter file says: `cargo run -p tlora-format --example read_adapter -- FILE`.

use std::error::Error;
use std::io::{Write, stdout};

use tlora_format::{Adapter, layout};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: read_adapter FILE")?;
    // Reads no more than an adapter can need, whatever the file is.
    let adapter = Adapter::read_from(fs_err::File::open(path)?)?;
    let mut out = stdout().lock();
    for field in layout(&adapter.to_bytes())? {
        writeln!(
            out,
            "{:>8} {:>6}  {:<24} {}",
            field.offset, field.length, field.name, field.meaning
        )?;
    }
    Ok(())
}
