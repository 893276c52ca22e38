//! The two streams: data to stdout, everything else to stderr; colours only on a terminal that wants them.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::escape;
use crate::exit::Exit;
use crate::failure::Failure;

/// Of the word `error`.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Of the word `warning`.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Of the word `hint`, and of headings.
pub(crate) const ACCENT: Style = AnsiColor::Cyan.on_default().bold();

/// Runs `write` on stdout. A reader that went away (`tlora inspect … | head`) is no failure.
///
/// # Errors
/// If stdout cannot be written for another reason, such as a full disk behind a redirection.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::unknown("cannot write to stdout").caused_by(error)),
    }
}

/// Prints a value as indented JSON and a newline.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<Exit, Failure> {
    print(|out| {
        let text = serde_json::to_string_pretty(value)?;
        writeln!(out, "{}", escape::json(&text))
    })
}

/// Writes a line to stderr.
pub(crate) fn note(line: std::fmt::Arguments<'_>) {
    // A closed stderr leaves nobody to tell.
    let _closed = writeln!(anstream::stderr().lock(), "{line}");
}

/// Writes `warning: …` to stderr.
pub(crate) fn warn(line: std::fmt::Arguments<'_>) {
    note(format_args!("{WARNING}warning:{WARNING:#} {line}"));
}
