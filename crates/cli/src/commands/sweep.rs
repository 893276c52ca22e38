//! `tlora sweep`.

mod planned;
mod row;
mod table;
mod vary;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use tlora_checkpoint::write_file_atomically;
use tlora_report::comparison;

use crate::arguments::SweepOptions;
use crate::environment::Environment;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::output;
use crate::failure::Failure;
use crate::terminal::{ACCENT, note, print, print_json, warn};

use super::train::{Detail, Session, flag, use_threads};
use planned::{Planned, Stage};
use row::Row;

pub(crate) fn run(options: &SweepOptions) -> Result<Exit, Failure> {
    let planned = planned::all(options)?;
    if options.dry_run {
        return print(|out| {
            for run in &planned {
                writeln!(out, "{:<11}  {}", run.stage.word(), run.combination.name())?;
            }
            Ok(())
        });
    }
    let failed = train(options, &planned)?;
    let rows = planned
        .iter()
        .map(|run| Row::read(run, failed.get(&run.combination.name())));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let summary = table::json(&rows);
    let begun: Vec<_> = rows.iter().filter_map(|row| row.entry.clone()).collect();
    let files = [
        ("sweep.json", format!("{summary:#}\n")),
        ("sweep.csv", table::csv(&rows)),
        ("sweep.html", comparison(&begun)),
    ];
    for (name, text) in files {
        write_file_atomically(&options.output.join(name), text.as_bytes(), true).map_err(output)?;
    }
    if options.json {
        print_json(&summary)?;
    } else {
        print(|out| table::show(out, &rows))?;
    }
    Ok(match failed.is_empty() {
        true => Exit::Done,
        false => Exit::No,
    })
}

/// Runs what is not finished; gives the names of the runs that failed, and why.
fn train(options: &SweepOptions, planned: &[Planned]) -> Result<BTreeMap<String, String>, Failure> {
    let environment = Environment::new(&options.cache, &options.run)?;
    use_threads(&environment);
    fs_err::create_dir_all(&options.output).map_err(|error| {
        Failure::unknown("the directory of the sweep cannot be made").caused_by(error)
    })?;
    let mut failed = BTreeMap::new();
    for (number, run) in planned.iter().enumerate() {
        if flag().load(Ordering::Relaxed) {
            note(format_args!("interrupted; the same command goes on"));
            break;
        }
        if run.stage == Stage::Finished {
            continue;
        }
        let name = run.combination.name();
        if !options.run.quiet {
            note(format_args!(
                "{ACCENT}run {} of {}:{ACCENT:#} {}",
                number + 1,
                planned.len(),
                Untrusted(&name)
            ));
        }
        let session = Session {
            config: &run.config,
            output: &run.directory,
            resume: run.stage == Stage::Interrupted,
            environment: &environment,
            detail: match options.run.quiet {
                true => Detail::Nothing,
                false => Detail::Evaluations,
            },
        };
        run.make_room()?;
        match session.train(flag()) {
            Ok(_) => {}
            // Nothing has begun, and the next run would fail for the same reason.
            Err(failure) if !run.directory.exists() => return Err(failure),
            Err(failure) => {
                failure.print();
                let (reason, _) = failure.into_parts();
                warn(format_args!(
                    "{} failed; the sweep goes on",
                    Untrusted(&name)
                ));
                failed.insert(name, reason);
            }
        }
    }
    Ok(failed)
}
