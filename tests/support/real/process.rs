//! Child processes that cannot hang a test: input from memory, output into memory, killed at a deadline.
#![allow(clippy::disallowed_methods, reason = "a child process lives on the real clock")]

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a finished child has left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error, as text.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Finished {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output's lines.
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// Panics, with all that the child said, unless it exited with 0.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "child failed\nstdout: {}\nstderr: {}", self.text(), self.stderr);
        self
    }
}

/// Runs `command` with `input` as its standard input, to its end or for `limit`.
///
/// # Panics
/// When it cannot be started or does not end in time; it is killed then, and what it said is in the panic.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> Finished {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A child that exits without reading its input breaks the pipe: its exit code tells, not this thread.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));

    let status = wait(&mut child, started + limit);
    let took = started.elapsed();
    let stdout = stdout.join().expect("reader");
    let stderr = String::from_utf8_lossy(&stderr.join().expect("reader")).into_owned();
    let Some(status) = status else {
        let stdout = String::from_utf8_lossy(&stdout);
        panic!("{command:?} did not end in {limit:?}\nstdout: {stdout}\nstderr: {stderr}");
    };
    let _ = writer.join().expect("writer");
    Finished { code: status.code(), stdout, stderr, took }
}

/// The child's status, or `None` when the deadline came first; it is killed then, with all that it started.
fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all);
        all
    })
}

/// Whether `program` is found on the path.
pub fn installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}
