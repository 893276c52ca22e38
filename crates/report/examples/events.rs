//! An event file of lines `STEP TAG VALUE` of standard input: `events DIRECTORY FIRST_STEP`. It prints where the file is.

use std::io::{BufRead, Write};
use std::path::Path;

use tlora_report::EventFile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, first] = arguments.as_slice() else {
        return Err("usage: events DIRECTORY FIRST_STEP < LINES".into());
    };
    let time = 1_767_225_600.0;
    let mut file = EventFile::create(Path::new(directory), first.parse()?, time)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [step, tag, value] = words.as_slice() else {
            return Err(format!("not a step, a tag and a value: {line}").into());
        };
        file.scalars(step.parse()?, time, &[(tag, value.parse()?)])?;
    }
    writeln!(std::io::stdout(), "{}", file.path().display())?;
    Ok(())
}
