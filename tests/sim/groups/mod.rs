//! A group on simulated time: members that come, go, die and stand still on three brokers that do the same, under a writer.
//!
//! Runs as the rest of the simulation does: `SEED=n` is one seed, `SEEDS=n` how many; a plan that fails is shrunk.

mod check;
mod history;
mod member;
mod plan;
mod world;

use crate::{MANY, number, search};
use check::Tally;
use plan::Plan;
use std::sync::Mutex;
use std::time::Instant;

#[test]
fn no_seed_breaks_an_invariant_of_groups() {
    if let Some(seed) = number("SEED") {
        let plan = Plan::draw(seed);
        println!("{plan:#?}");
        let history = world::run(&plan);
        println!("{history}");
        let violations = history.violations();
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
        return;
    }
    let began = Instant::now();
    let count = number("SEEDS").unwrap_or(60);
    let tally = Mutex::new(Tally::default());
    let (found, run) = search(0..count, |seed| {
        let plan = Plan::draw(seed);
        let history = world::run(&plan);
        tally.lock().unwrap().add(&history);
        let violations = history.violations();
        (!violations.is_empty()).then_some((plan, violations))
    });
    let tally = tally.into_inner().unwrap();
    println!("{run} seeds of groups in {:.1} s: {tally:?}", began.elapsed().as_secs_f64());
    if let Some((seed, (plan, violations))) = found {
        let small = plan.shrink(|plan| !world::run(plan).violations().is_empty());
        let of_small = world::run(&small).violations();
        panic!(
            "SEED={seed} breaks {violations:#?}\nand so does this much of its plan: {small:#?}\n{of_small:#?}"
        );
    }
    let lacks = tally.lacks(run);
    assert!(run > 0 && (run < MANY || lacks.is_empty()), "{run} seeds show nothing: they lack {lacks:?}");
}

#[test]
fn a_seed_of_groups_is_the_same_each_time() {
    for seed in [1, 7, 42, 99] {
        let plan = Plan::draw(seed);
        let histories = [(); 2].map(|()| world::run(&plan).to_string());
        assert!(histories[0] == histories[1], "seed {seed} differs from itself");
    }
}
