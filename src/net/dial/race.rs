//! Tries many addresses, each a little after the one before, until one answers ("happy eyeballs", RFC 8305).

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::task;

/// How long an address is tried alone before the next one is tried beside it; RFC 8305 recommends it.
const STAGGER: Duration = Duration::from_millis(250);

/// Puts addresses into the order they are tried in: by chance, so that clients spread over them, and by turns
/// of the families, so that a network without one of them costs one stagger and not many.
pub(super) fn mix(mut addresses: Vec<SocketAddr>, rng: &mut fastrand::Rng) -> Vec<SocketAddr> {
    rng.shuffle(&mut addresses);
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return mixed,
            (a, b) => mixed.extend(a.into_iter().chain(b)),
        }
    }
}

/// The first of `addresses` that `connect` succeeds with; otherwise what each of them answered. The next
/// address is tried [`STAGGER`] after the one before, or at once when nothing is left to wait for.
///
/// # Cancel safety
/// All attempts end when the future is dropped.
pub(super) async fn first_to_connect<S, F>(
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, S), Attempts>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = Vec::new();
    let mut attempts = Attempts::default();
    loop {
        match waiting.next() {
            Some(address) => running.push((address, Box::pin(connect(address)))),
            None if running.is_empty() => return Err(attempts),
            None => {}
        }
        let next_start = match waiting.len() {
            0 => deadline,
            _ => deadline.min(task::after(task::now(), STAGGER)),
        };
        // Fast failures start the next address at once; while others are still under way there is time to
        // hear them out.
        while let Some((address, outcome)) = task::until(next_start, any(&mut running)).await {
            match outcome {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => attempts.0.push((address, Outcome::Failed(error))),
            }
            if running.is_empty() || waiting.len() > 0 {
                break;
            }
        }
        if task::now() >= deadline {
            attempts.0.extend(running.into_iter().map(|(address, _)| (address, Outcome::Unanswered)));
            attempts.0.extend(waiting.map(|address| (address, Outcome::Untried)));
            return Err(attempts);
        }
    }
}

/// Waits for whichever of the attempts ends first, and takes it out. Never ready when there is none.
async fn any<S, F: Future<Output = io::Result<S>>>(
    running: &mut Vec<(SocketAddr, Pin<Box<F>>)>,
) -> (SocketAddr, io::Result<S>) {
    poll_fn(|context| {
        for (index, (address, attempt)) in running.iter_mut().enumerate() {
            if let Poll::Ready(outcome) = attempt.as_mut().poll(context) {
                let address = *address;
                drop(running.remove(index));
                return Poll::Ready((address, outcome));
            }
        }
        Poll::Pending
    })
    .await
}

/// Each address that was tried and what came of it.
#[derive(Debug, Default)]
pub(super) struct Attempts(Vec<(SocketAddr, Outcome)>);

#[derive(Debug)]
enum Outcome {
    Failed(io::Error),
    /// Nothing came back before the deadline.
    Unanswered,
    /// The deadline passed before its turn.
    Untried,
}

impl Attempts {
    /// Whether the deadline ended it.
    pub(super) fn timed_out(&self) -> bool {
        self.0.iter().any(|(_, outcome)| !matches!(outcome, Outcome::Failed(_)))
    }

    /// Whether every address answered that nothing listens.
    pub(super) fn all_refused(&self) -> bool {
        self.0.iter().all(|(_, outcome)| {
            matches!(outcome, Outcome::Failed(error) if error.kind() == io::ErrorKind::ConnectionRefused)
        })
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, outcome)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match outcome {
                Outcome::Failed(error) => write!(f, "{address}: {error}")?,
                Outcome::Unanswered => write!(f, "{address}: no answer")?,
                Outcome::Untried => write!(f, "{address}: not tried in time")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Attempts {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 9092))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, last], 9092))
    }

    /// What an address does when it is connected to: after so many milliseconds, succeed or refuse; or
    /// nothing, ever.
    #[derive(Clone, Copy)]
    enum Host {
        Answers(u64),
        Refuses(u64),
        Silent,
    }

    /// Races hosts 1, 2, .. in this order; gives the winner (or what the error says), when that was known and
    /// when each was started, in ms.
    async fn race(hosts: &[Host]) -> (Result<u8, String>, u128, Vec<u128>) {
        let start = task::now();
        let started = RefCell::new(Vec::new());
        let addresses = (1..).zip(hosts).map(|(last, _)| v4(last)).collect();
        let connect = |address: SocketAddr| {
            let SocketAddr::V4(address) = address else { panic!("only IPv4 here") };
            let last = address.ip().octets()[3];
            let host = hosts[usize::from(last) - 1];
            started.borrow_mut().push(start.elapsed_on_our_clock());
            async move {
                let wait = |ms| task::sleep_until(task::now() + Duration::from_millis(ms));
                match host {
                    Host::Answers(ms) => {
                        wait(ms).await;
                        Ok(last)
                    }
                    Host::Refuses(ms) => {
                        wait(ms).await;
                        Err(io::ErrorKind::ConnectionRefused.into())
                    }
                    Host::Silent => std::future::pending().await,
                }
            }
        };
        let outcome = first_to_connect(addresses, start + Duration::from_secs(10), connect).await;
        let winner = outcome.map(|(_, last)| last).map_err(|attempts| attempts.to_string());
        (winner, start.elapsed_on_our_clock(), started.into_inner())
    }

    trait Elapsed {
        fn elapsed_on_our_clock(&self) -> u128;
    }

    impl Elapsed for Instant {
        fn elapsed_on_our_clock(&self) -> u128 {
            (task::now() - *self).as_millis()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_at_once_is_alone() {
        assert_eq!(race(&[Host::Answers(20), Host::Answers(0)]).await, (Ok(1), 20, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_costs_one_stagger() {
        let (winner, ms, started) = race(&[Host::Silent, Host::Answers(10)]).await;
        assert_eq!((winner, ms, started), (Ok(2), 260, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_fastest_wins_though_it_started_later() {
        let (winner, ms, started) = race(&[Host::Answers(600), Host::Answers(900), Host::Answers(20)]).await;
        assert_eq!((winner, ms, started), (Ok(3), 520, vec![0, 250, 500]));
        assert_eq!(race(&[Host::Answers(300), Host::Answers(900)]).await.0, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_at_once() {
        let (winner, ms, started) = race(&[Host::Refuses(0), Host::Refuses(1), Host::Answers(0)]).await;
        assert_eq!((winner, ms, started), (Ok(3), 1, vec![0, 0, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_beside_a_silent_address_starts_the_next_at_once() {
        let (winner, ms, started) = race(&[Host::Silent, Host::Refuses(10), Host::Answers(0)]).await;
        assert_eq!((winner, ms, started), (Ok(3), 260, vec![0, 250, 260]));
    }

    #[tokio::test(start_paused = true)]
    async fn all_refusals_are_told_without_waiting() {
        let (winner, ms, _) = race(&[Host::Refuses(0), Host::Refuses(300)]).await;
        let refused = "connection refused";
        assert_eq!(winner, Err(format!("10.0.0.1:9092: {refused}, 10.0.0.2:9092: {refused}")));
        assert_eq!(ms, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_deadline() {
        let (winner, ms, _) = race(&[Host::Silent, Host::Refuses(0), Host::Silent]).await;
        let told = "10.0.0.2:9092: connection refused, 10.0.0.1:9092: no answer, 10.0.0.3:9092: no answer";
        assert_eq!((winner, ms), (Err(told.to_owned()), 10_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_whose_turn_does_not_come_is_named() {
        let (winner, ms, started) = race(&[Host::Silent; 50]).await;
        assert!(winner.unwrap_err().ends_with("10.0.0.50:9092: not tried in time"));
        assert_eq!((ms, started.len()), (10_000, 40));
    }

    #[test]
    fn families_take_turns_and_orders_differ() {
        let addresses = vec![v4(1), v4(2), v4(3), v4(4), v6(1), v6(2)];
        let mut orders = std::collections::HashSet::new();
        for seed in 0..50 {
            let mixed = mix(addresses.clone(), &mut fastrand::Rng::with_seed(seed));
            let families: String = mixed.iter().map(|a| if a.is_ipv6() { '6' } else { '4' }).collect();
            assert!(["464644", "646444"].contains(&families.as_str()), "{families}");
            let mut sorted = mixed.clone();
            sorted.sort();
            assert_eq!(sorted, addresses);
            orders.insert(mixed);
        }
        assert!(orders.len() > 20, "{} orders", orders.len());
    }
}
