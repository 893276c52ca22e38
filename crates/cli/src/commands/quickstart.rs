//! `tlora quickstart`: an adapter from its training to a merged model, on the bundled model, and a promise about the result.

use std::path::{Path, PathBuf};

use clap::Parser;
use fs_err::File;
use lzma_rust2::LzmaReader;
use tempfile::TempDir;
use tlora_checkpoint::Checkpoint;
use tlora_rebuild::digest;

use crate::arguments::{CacheOptions, Cli, QuickstartOptions, RunOptions};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::explain::Subject;
use crate::failure::Failure;
use crate::terminal::{ACCENT, print};

/// The digest that the merged model has on every machine; README.md prints it too.
const MERGED: &str = "tmd1:ad4074300e5dcd629e926378a6e75a4d302d113ebfe1feb418bcac7fdb93914d";

/// Where the bundled model is, as in a clone of the repository: the commands are the same there.
const BASE: &str = "examples/tiny-base";

/// The commands, as one would type them.
const COMMANDS: [&str; 5] = [
    "tlora train examples/tiny-base/train.toml -o run",
    "tlora inspect run/adapter.tlora --base examples/tiny-base",
    "tlora merge examples/tiny-base run/adapter.tlora -o merged",
    "tlora verify run/adapter.tlora --base examples/tiny-base --merged merged",
    "tlora eval merged --data examples/tiny-base/test.jsonl --config run/config.toml",
];

/// `examples/tiny-base`: names, and contents as build.rs compressed them.
const TINY_BASE: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/tiny-base.rs"));

pub(crate) fn run(options: &QuickstartOptions) -> Result<Exit, Failure> {
    let directory = Directory::new(options.dir.as_deref())?;
    lay_out(&directory.path().join(BASE)).map_err(|error| not_prepared(&error))?;
    // The commands then read as they would be typed, without the name of a temporary directory.
    std::env::set_current_dir(directory.path()).map_err(|error| not_prepared(&error))?;
    for command in COMMANDS {
        print(|out| writeln!(out, "{ACCENT}running:{ACCENT:#} {command}"))?;
        let cli = Cli::try_parse_from(command.split_whitespace()).map_err(|error| {
            Failure::unknown("a command of the quickstart is wrong").caused_by(error)
        })?;
        crate::run(cli.command)?;
        print(|out| writeln!(out))?;
    }
    check(options)
}

/// Compares the digest of the merged model with the promise.
fn check(options: &QuickstartOptions) -> Result<Exit, Failure> {
    let environment = Environment::new(&CacheOptions::none(), &RunOptions::default())?;
    let subject = Subject {
        base: "merged",
        adapters: &[],
    };
    let merged = Checkpoint::open("merged").map_err(|error| subject.checkpoint(error))?;
    let found = digest(&merged, &environment.run())
        .map_err(|error| subject.rebuild(error))?
        .digest
        .to_string();
    if found != MERGED {
        return Err(
            Failure::no("the merged model is not the one that it is on other machines")
                .fact("digest here", found)
                .fact("digest elsewhere", MERGED)
                .hint("please report this, with the kind of processor"),
        );
    }
    print(|out| {
        writeln!(
            out,
            "The merged model is bit for bit the one that README.md promises."
        )?;
        match &options.dir {
            Some(directory) => writeln!(
                out,
                "The files are in {}.",
                crate::escape::Untrusted(directory.display())
            ),
            None => writeln!(out, "`tlora quickstart --dir DIR` keeps the files."),
        }
    })
}

fn lay_out(directory: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(directory)?;
    for &(name, compressed) in TINY_BASE {
        let mut contents = LzmaReader::new_mem_limit(compressed, u32::MAX, None)?;
        std::io::copy(&mut contents, &mut File::create(directory.join(name))?)?;
    }
    Ok(())
}

fn not_prepared(error: &std::io::Error) -> Failure {
    Failure::unknown("the directory of the quickstart cannot be prepared").fact("reason", error)
}

/// Where the files go.
enum Directory {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Directory {
    fn new(kept: Option<&Path>) -> Result<Self, Failure> {
        let Some(kept) = kept else {
            return tempfile::tempdir()
                .map(Self::Temporary)
                .map_err(|error| not_prepared(&error));
        };
        // Of its own, so that nothing of the user's is replaced.
        fs_err::create_dir(kept).map_err(|error| not_prepared(&error))?;
        Ok(Self::Kept(kept.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}
