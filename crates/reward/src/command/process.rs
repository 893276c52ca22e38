//! A running program: threads that write to it and read from it, so that neither side waits for the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Longer lines of output are errors, so that a program that never ends its line fills no memory.
pub(super) const MAX_LINE: u64 = 1 << 20;
/// Lines that are read ahead; a program that writes more waits.
const READ_AHEAD: usize = 64;
/// What is kept of stderr.
const MAX_STDERR: usize = 2_048;
/// How long a program that has closed its output may take to end by itself, and its stderr to be read.
const GRACE: Duration = Duration::from_millis(500);

/// What comes out of a program.
#[derive(Debug)]
pub(super) enum Output {
    /// A line and its number from 1, without its end.
    Line(u64, Vec<u8>),
    /// A line that is too long.
    LongLine(u64),
    /// Its output is closed.
    End,
}

/// A program that runs, killed and reaped when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: Sender<Vec<u8>>,
    output: Receiver<Output>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_read: Receiver<()>,
}

impl Process {
    /// Starts the program in a group of its own, so that what it starts can be killed with it.
    pub(super) fn start(argv: &[String]) -> std::io::Result<Self> {
        let mut argv = argv.iter();
        let mut command = Command::new(argv.next().map_or("", String::as_str));
        command
            .args(argv)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let (requests, to_write) = channel();
        let (to_read, output) = sync_channel(READ_AHEAD);
        let (stderr_done, stderr_read) = channel();
        let stderr = Arc::default();
        if let Some(stdin) = child.stdin.take() {
            thread::spawn(move || write(stdin, &to_write));
        }
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || read(stdout, &to_read));
        }
        if let Some(pipe) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            thread::spawn(move || keep_tail(pipe, &stderr, stderr_done));
        }
        Ok(Self {
            child,
            requests,
            output,
            stderr,
            stderr_read,
        })
    }

    /// Sends what the program reads. If it has ended its output says so.
    pub(super) fn send(&self, requests: Vec<u8>) {
        self.requests.send(requests).ok();
    }

    /// What has come out already.
    pub(super) fn pending(&self) -> Option<Output> {
        self.output.try_recv().ok()
    }

    /// What comes out next, unless nothing does in time.
    pub(super) fn next(&self, timeout: Duration) -> Option<Output> {
        match self.output.recv_timeout(timeout) {
            Ok(output) => Some(output),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Output::End),
        }
    }

    /// Ends the program, after a short wait if it is about to end by itself. Gives how it ended and the end of its
    /// stderr.
    pub(super) fn stop(mut self, ends_itself: bool) -> (Option<ExitStatus>, String) {
        let deadline = Instant::now() + GRACE;
        let mut status = self.child.try_wait().ok().flatten();
        while ends_itself && status.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
            status = self.child.try_wait().ok().flatten();
        }
        if status.is_none() {
            self.kill();
            status = self.child.wait().ok();
        }
        // A child of the program that runs on may hold the pipe: what is there has to do.
        self.stderr_read.recv_timeout(GRACE).ok();
        let tail = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = String::from_utf8_lossy(&tail)
            .chars()
            .filter(|character| *character == '\n' || !character.is_control())
            .collect();
        (status, text)
    }

    #[cfg(unix)]
    fn kill(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.kill().ok();
    }

    #[cfg(not(unix))]
    fn kill(&mut self) {
        self.child.kill().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            self.child.wait().ok();
        }
    }
}

/// Until the program reads no more or nothing more can come.
fn write(mut stdin: ChildStdin, requests: &Receiver<Vec<u8>>) {
    while let Ok(request) = requests.recv() {
        if stdin
            .write_all(&request)
            .and_then(|()| stdin.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Until the output ends, a line is too long, or nobody reads it any more.
fn read(stdout: ChildStdout, output: &SyncSender<Output>) {
    let mut reader = BufReader::new(stdout);
    for number in 1.. {
        let mut line = Vec::new();
        let mut limited = reader.by_ref().take(MAX_LINE + 1);
        let read = limited.read_until(b'\n', &mut line);
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        let next = match read {
            Ok(_) if ended => Output::Line(number, line),
            Ok(_) if u64::try_from(line.len()).is_ok_and(|length| length > MAX_LINE) => {
                Output::LongLine(number)
            }
            // A last line without its end.
            Ok(_) if !line.is_empty() => Output::Line(number, line),
            _ => Output::End,
        };
        let last = !matches!(next, Output::Line(..));
        if output.send(next).is_err() || last {
            return;
        }
    }
}

fn keep_tail(mut pipe: ChildStderr, tail: &Mutex<Vec<u8>>, done: Sender<()>) {
    let mut chunk = [0; 1_024];
    while let Ok(length @ 1..) = pipe.read(&mut chunk) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(chunk.get(..length).unwrap_or_default());
        let excess = tail.len().saturating_sub(MAX_STDERR);
        tail.drain(..excess);
    }
    done.send(()).ok();
}
