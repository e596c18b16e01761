//! The simulation: a producer and a consumer against embedded brokers, on simulated time, with faults and knobs drawn from a
//! seed, and checkers that hold the invariants of a soak run.
//!
//! `groups` does the same with members of a group.
//!
//! `SEED=n` runs one seed and shows its plan; `SEEDS=n` says how many are run (500). A plan that fails is shrunk: what is not
//! needed for the failure is taken out of it. `liar` are planted mistakes, which the simulation has to find.
#![cfg(feature = "broker")]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests, with threads and runtimes of their own"
)]

mod alone;
mod check;
mod groups;
mod liar;
mod plan;
mod record;
mod shrink;
mod traffic;
mod world;

use check::{Tally, Violation};
use liar::Lie;
use plan::Plan;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A seed whose plan broke an invariant.
struct Failure {
    plan: Plan,
    violations: Vec<Violation>,
}

/// So few runs need not have seen everything that can happen.
const MANY: u64 = 400;

/// Runs seeds until one breaks what it is searched for; as [`search`], and what happened in them.
fn search_plans(
    seeds: std::ops::Range<u64>,
    lie: Option<Lie>,
    is_searched: impl Fn(&Violation) -> bool + Sync,
) -> (Option<Failure>, u64, Tally) {
    let tally = Mutex::new(Tally::default());
    let (found, run) = search(seeds, |seed| {
        let plan = Plan::draw(seed);
        let history = world::run(&plan, lie);
        let violations = history.violations();
        tally.lock().unwrap().add(&history);
        violations.iter().any(&is_searched).then_some(Failure { plan, violations })
    });
    (found.map(|(_, failure)| failure), run, tally.into_inner().unwrap())
}

/// Runs seeds on all cores, until one gives something; the lowest that did, and how many were run.
fn search<T: Send>(
    seeds: std::ops::Range<u64>,
    run_seed: impl Fn(u64) -> Option<T> + Sync,
) -> (Option<(u64, T)>, u64) {
    let next = AtomicU64::new(seeds.start);
    let run = AtomicU64::new(0);
    let found: Mutex<Option<(u64, T)>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || found.lock().unwrap().is_some() {
                        return;
                    }
                    let given = run_seed(seed);
                    run.fetch_add(1, Ordering::Relaxed);
                    if let Some(given) = given {
                        let mut found = found.lock().unwrap();
                        if found.as_ref().is_none_or(|(other, _)| *other > seed) {
                            *found = Some((seed, given));
                        }
                    }
                }
            });
        }
    });
    (found.into_inner().unwrap(), run.into_inner())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

#[test]
fn no_seed_breaks_an_invariant() {
    if let Some(seed) = number("SEED") {
        let plan = Plan::draw(seed);
        println!("{plan:#?}");
        let history = world::run(&plan, None);
        println!("{history}");
        let violations = history.violations();
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
        return;
    }
    let began = Instant::now();
    let count = number("SEEDS").unwrap_or(500);
    let (failure, run, tally) = search_plans(0..count, None, |_| true);
    println!("{run} seeds in {:.1} s: {tally:?}", began.elapsed().as_secs_f64());
    if let Some(Failure { plan, violations }) = failure {
        let seed = plan.seed;
        let small = shrink::shrink(plan, |plan| !world::run(plan, None).violations().is_empty());
        let of_small = world::run(&small, None).violations();
        panic!(
            "SEED={seed} breaks {violations:#?}\nand so does this much of its plan: {small:#?}\n{of_small:#?}"
        );
    }
    let lacks = tally.lacks(run);
    assert!(run > 0 && (run < MANY || lacks.is_empty()), "{run} seeds show nothing: they lack {lacks:?}");
}

#[test]
fn a_seed_is_the_same_each_time() {
    for seed in [1, 7, 42, 99] {
        let plan = Plan::draw(seed);
        assert_eq!(format!("{plan:?}"), format!("{:?}", Plan::draw(seed)));
        let histories = [(); 3].map(|()| world::run(&plan, None).to_string());
        assert!(histories.iter().all(|history| *history == histories[0]), "seed {seed} differs from itself");
    }
}

/// Each planted mistake is found by what it breaks, and the plan that finds it can be made small.
fn is_found(lie: Lie) {
    let is_of_it = |violation: &Violation| lie.breaks().contains(&violation.invariant);
    let (failure, run, _) = search_plans(0..1_000, Some(lie), is_of_it);
    let Failure { plan, violations } =
        failure.unwrap_or_else(|| panic!("{lie:?} was not found in {run} seeds"));
    let by = violations.iter().find(|violation| is_of_it(violation)).unwrap();
    println!("{lie:?}: found by seed {} after {run}: {by}", plan.seed);
    let before = plan.steps.len();
    let small = shrink::shrink(plan, |plan| world::run(plan, Some(lie)).violations().iter().any(is_of_it));
    println!("{lie:?}: {before} steps were shrunk to {}", small.steps.len());
    assert!(small.steps.len() <= before.min(4), "{small:#?}");
}

#[test]
fn a_sequence_number_that_is_used_twice_is_found() {
    is_found(Lie::SequenceReused);
}

#[test]
fn an_acknowledgement_that_nobody_gave_is_found() {
    is_found(Lie::AcknowledgementInvented);
}

#[test]
fn a_position_that_skips_a_record_is_found() {
    is_found(Lie::PositionSkipped);
}

#[test]
fn a_client_that_connects_without_a_pause_is_found() {
    is_found(Lie::HastyConnects);
}

#[test]
fn a_client_that_asks_without_a_pause_is_found() {
    is_found(Lie::HastyRequests);
}

/// What carries the lies breaks nothing of itself.
#[test]
fn nothing_is_found_where_nobody_lies() {
    let (failure, run, _) = search_plans(0..30, Some(Lie::Honest), |_| true);
    assert!(run == 30 && failure.is_none(), "{:?}", failure.map(|failure| failure.violations));
}
