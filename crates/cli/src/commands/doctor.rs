//! `tlora doctor`.

use std::io::{self, Write};

use tlora_train::config::{DeviceSetting, ModelSettings};

use super::train::use_threads;
use crate::arguments::{CacheOptions, DeviceOption, DoctorOptions};
use crate::device;
use crate::doctor::{Check, Machine, Report, examine};
use crate::environment::Environment;
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::explain::training;
use crate::failure::Failure;
use crate::progress::size;
use crate::table::number;
use crate::terminal::{ACCENT, ERROR, print, print_json};

pub(crate) fn run(options: &DoctorOptions) -> Result<Exit, Failure> {
    let chosen = device::choose(&ModelSettings {
        device: match options.device {
            DeviceOption::Auto => DeviceSetting::Auto,
            DeviceOption::Cpu => DeviceSetting::Cpu,
            DeviceOption::Cuda => DeviceSetting::Cuda,
        },
        ..ModelSettings::default()
    })?;
    // A machine that fails the self-test is refused here as everywhere.
    let environment = Environment::new(&CacheOptions::default(), &options.run)?;
    use_threads(&environment);
    let bar = &environment.bar;
    let report = examine(&chosen, |check| bar.activity(check, 1));
    let report = report.map_err(|error| training(error.into()))?;
    drop(environment);
    if options.json {
        print_json(&report)?;
    } else {
        print(|out| show(out, &report))?;
    }
    Ok(match report.holds {
        true => Exit::Done,
        false => Exit::No,
    })
}

fn show(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    show_machine(out, &report.machine)?;
    writeln!(out, "device         {}\n", Untrusted(&report.device))?;
    for Check {
        name,
        what,
        found,
        bound,
        holds,
    } in &report.checks
    {
        let style = if *holds { ACCENT } else { ERROR };
        let word = if *holds { "ok    " } else { "FAILED" };
        let (found, bound) = (short(*found), short(*bound));
        writeln!(
            out,
            "{style}{word}{style:#}  {name:<20}  {found:>7} <= {bound:<7}  {what}"
        )?;
    }
    writeln!(out)?;
    for agreement in &report.mismatch {
        let of = &agreement.mismatch;
        writeln!(
            out,
            "sampler against learner, {}: {} tokens, mean {}, largest {}, k3 {}, effective {}",
            agreement.arithmetic,
            of.tokens,
            short(of.mean),
            short(of.max),
            short(of.k3),
            number(of.effective)
        )?;
    }
    let memory = &report.memory;
    if let (Some(peak), Some(free)) = (memory.peak, memory.free) {
        let [planned, peak, free] = [memory.planned, peak, free].map(|bytes| size(bytes as u64));
        writeln!(
            out,
            "memory of the device: {peak} taken, {planned} planned, {free} free before"
        )?;
    }
    Ok(())
}

fn show_machine(out: &mut dyn Write, machine: &Machine) -> io::Result<()> {
    let commit = machine.commit.unwrap_or("of an unknown commit");
    writeln!(out, "tlora          {} {commit}", machine.tlora)?;
    writeln!(out, "system         {}", machine.system)?;
    writeln!(
        out,
        "instructions   {}, {} threads",
        machine.instructions, machine.threads
    )?;
    if let Some(bytes) = machine.memory_total {
        writeln!(out, "memory         {}", size(bytes as u64))?;
    }
    let cuda = machine.cuda.as_deref();
    writeln!(
        out,
        "CUDA           {}",
        Untrusted(cuda.unwrap_or("this program was built without GPU support"))
    )
}

/// A difference in two digits.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        _ => format!("{value:.1e}"),
    }
}
