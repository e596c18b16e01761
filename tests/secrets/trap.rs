//! [`Trap`]: a secret, and every form in which it could be seen, looked for in everything that was logged, panicked or shown.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use ottla::{Client, Error};
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// All that was logged, and the messages of all panics.
static SEEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

pub struct Trap {
    pub secret: String,
    /// What was looked at and had it.
    found: Mutex<Vec<String>>,
}

impl Trap {
    /// A secret that occurs nowhere else.
    pub fn new(name: &str) -> Trap {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Trap::of(&format!("marker.{name}.{count}.{}", std::process::id()))
    }

    /// A secret of somebody else's.
    pub fn of(secret: &str) -> Trap {
        listen();
        Trap { secret: secret.to_owned(), found: Mutex::default() }
    }

    /// Notes it when the secret shows, in either way of `Debug`.
    pub fn look_at(&self, thing: &dyn Debug) {
        for shown in [format!("{thing:?}"), format!("{thing:#?}")] {
            if self.would_find(&shown) {
                lock(&self.found).push(shown);
            }
        }
    }

    /// The error and its causes.
    pub fn look_at_error(&self, error: &Error) {
        self.look_at(error);
        self.look_at(&error.to_string());
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            self.look_at(&error);
            self.look_at(&error.to_string());
            cause = error.source();
        }
    }

    /// The client and what is made from it.
    pub fn look_at_client(&self, client: &Client) {
        self.look_at(client);
        self.look_at(client.settings());
        self.look_at(&client.admin());
        self.look_at(&client.producer());
        self.look_at(&client.consumer());
    }

    pub fn would_find(&self, text: &str) -> bool {
        self.forms().iter().any(|form| text.contains(form.as_str()))
    }

    /// Fails when the secret showed anywhere.
    #[track_caller]
    pub fn assert_empty(&self) {
        let found = lock(&self.found);
        assert!(found.is_empty(), "a secret shows in {} things, first in {:.400}", found.len(), found[0]);
        // A copy: a panic would wait for the lock.
        let seen = String::from_utf8_lossy(&lock(&SEEN)).into_owned();
        for form in self.forms() {
            if let Some(at) = seen.find(&form) {
                let line = seen[..at].lines().last().unwrap_or_default().to_owned();
                panic!("a secret was logged or panicked with, behind: {line:.400}");
            }
        }
    }

    /// As it is; in base64 wherever it stands in what was encoded; as lists of bytes; in hexadecimal.
    fn forms(&self) -> Vec<String> {
        let bytes = self.secret.as_bytes();
        let mut forms = vec![self.secret.clone()];
        for offset in 0..3 {
            // Whole groups of three bytes only: their neighbours change the others.
            let whole = bytes.get((3 - offset) % 3..).unwrap_or_default();
            let whole = &whole[..whole.len() / 3 * 3];
            forms.push(BASE64_STANDARD_NO_PAD.encode(whole));
            forms.push(BASE64_URL_SAFE_NO_PAD.encode(whole));
        }
        let list = |format: fn(&u8) -> String, between: &str| {
            bytes.iter().map(format).collect::<Vec<_>>().join(between)
        };
        forms.push(list(|byte| byte.to_string(), ", "));
        forms.push(list(|byte| byte.to_string(), ",\n    "));
        forms.push(list(|byte| format!("{byte:02x}"), ""));
        forms.push(list(|byte| format!("{byte:02X}"), ""));
        forms
    }
}

/// Everything at TRACE, from every thread, for the life of the process.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| Seen)
            .init();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A test that fails has a panic of its own; it tells of a secret by where it was, not what it is.
            lock(&SEEN).extend_from_slice(format!("{panic}\n").as_bytes());
            before(panic);
        }));
    });
}

struct Seen;

impl io::Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&SEEN).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
