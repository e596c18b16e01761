//! [`Signals`]: Ctrl-C and its like, once to end in good order and once more to end at once. [`Interruption`]: the same with a
//! time for the good order.

use ottla::task;
use std::process;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Tells that the process was asked to end.
#[derive(Debug, Clone)]
pub(crate) struct Signals(watch::Receiver<Option<u8>>);

impl Signals {
    /// Starts to listen. From now on the first signal no longer ends the process; the second does.
    pub(crate) fn listen() -> Signals {
        let (sender, receiver) = watch::channel(None);
        // Not in the task, which may begin a while after this has returned.
        let mut source = Source::new();
        task::spawn(async move {
            let number = source.next().await;
            sender.send_replace(Some(number));
            let number = source.next().await;
            process::exit(128 + i32::from(number));
        });
        Signals(receiver)
    }

    /// Waits for a signal and gives its number.
    ///
    /// # Cancel safety
    /// A signal is not lost: the next call is ready at once.
    pub(crate) async fn received(&mut self) -> u8 {
        match self.0.wait_for(Option::is_some).await {
            Ok(number) => number.unwrap_or(SIGINT),
            // The listener is gone, and with it the signals.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The first signal, and how long there is time after it.
#[derive(Debug)]
pub(crate) struct Interruption {
    signals: Signals,
    grace: Duration,
    heard: Option<(u8, Instant)>,
}

/// What an [`Interruption`] comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal asks for an end.
    Heard,
    /// The time of grace is over.
    Late,
}

impl Interruption {
    /// There is this much time after the first signal.
    pub(crate) fn new(signals: Signals, grace: Duration) -> Interruption {
        Interruption { signals, grace, heard: None }
    }

    /// The next thing that happens: first a signal, then that its time is over.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Event {
        match self.heard {
            None => {
                let number = self.signals.received().await;
                self.heard = Some((number, task::after(task::now(), self.grace)));
                Event::Heard
            }
            Some((_, deadline)) => {
                task::sleep_until(deadline).await;
                Event::Late
            }
        }
    }

    /// The signal, once there was one.
    pub(crate) fn number(&self) -> Option<u8> {
        self.heard.map(|(number, _)| number)
    }
}

/// The number of Ctrl-C.
pub(crate) const SIGINT: u8 = 2;

#[cfg(unix)]
struct Source {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Source {
    fn new() -> Source {
        use tokio::signal::unix::{SignalKind, signal};
        Source {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) -> u8 {
        const SIGTERM: u8 = 15;
        let Source { interrupt, terminate } = self;
        tokio::select! {
            biased;
            () = one(interrupt) => SIGINT,
            () = one(terminate) => SIGTERM,
        }
    }
}

#[cfg(unix)]
async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if received.is_none() {
        std::future::pending().await
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> Source {
        Source
    }

    async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => SIGINT,
            Err(_) => std::future::pending().await,
        }
    }
}
