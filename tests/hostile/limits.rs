//! Runs of the command under a limit of memory and of time.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::support::Scratch;

/// No input of the table needs a second; a machine may be busy.
const TIME: Duration = Duration::from_secs(120);
/// What a hostile input may cost above what an ordinary run needs, in KiB.
const MORE: u64 = 256 << 10;
const STEP: u64 = 16 << 10;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: String,
}

/// The address space in KiB that an ordinary merge needs here, to 16 MiB.
static ORDINARY: LazyLock<u64> = LazyLock::new(|| {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    let needed = (1..).map(|step| step * STEP).find(|&limit| {
        let arguments = ["merge", "base", "adapter.tlora", "-o", "out", "--no-cache"];
        let run = run_limited(&scratch, &arguments, limit);
        run.status.is_some_and(|status| status.success())
    });
    needed.unwrap()
});

/// Runs `tlora` with 256 MB more than an ordinary merge needs.
pub(crate) fn run(scratch: &Scratch, arguments: &[&str]) -> Run {
    run_limited(scratch, arguments, *ORDINARY + MORE)
}

fn run_limited(scratch: &Scratch, arguments: &[&str], kib: u64) -> Run {
    let outside = tempfile::tempdir().unwrap();
    let (out, err) = (outside.path().join("out"), outside.path().join("err"));
    let script = format!(r#"ulimit -v {kib}; exec "$0" "$@""#);
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_tlora")])
        .args(arguments)
        .current_dir(scratch.path(""))
        .env("TLORA_CACHE", scratch.path("cache"))
        // glibc reserves 64 MiB of address space for each thread, which is not memory and would count as such.
        .env("MALLOC_ARENA_MAX", "1")
        .env_remove("GITHUB_STEP_SUMMARY")
        .stdin(Stdio::null())
        .stdout(create(&out))
        .stderr(create(&err));
    let status = wait(&mut command.spawn().unwrap());
    let read = |path| String::from_utf8(fs_err::read(path).unwrap()).unwrap();
    Run {
        status,
        output: read(out) + &read(err),
    }
}

fn create(path: &Path) -> Stdio {
    fs_err::File::create(path).unwrap().into_parts().0.into()
}

/// How it ended; none if it had to be killed for the time it took.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < TIME {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}
