//! What runs side by side, on a paused clock.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MS: Duration = Duration::from_millis(1);

fn in_ms(ms: u32) -> Instant {
    now() + MS * ms
}

/// Succeeds or fails with its number, so many milliseconds after it was started.
type Try = (u32, Result<u32, u32>);

async fn raced(items: &[Try], deadline_ms: u32) -> (Result<u32, Vec<u32>>, u128) {
    let start = now();
    let attempt = |(ms, outcome): Try| async move {
        sleep_until(in_ms(ms)).await;
        outcome
    };
    let outcome = race(items.to_vec(), MS * 100, in_ms(deadline_ms), attempt).await;
    (outcome, (now() - start).as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_race_gives_the_first_success() {
    assert_eq!(raced(&[(10, Ok(1)), (0, Ok(2))], 1_000).await, (Ok(1), 10));
    assert_eq!(raced(&[(500, Ok(1)), (10, Ok(2))], 1_000).await, (Ok(2), 110), "one stagger later");
    assert_eq!(
        raced(&[(10, Err(1)), (10, Ok(2))], 1_000).await,
        (Ok(2), 20),
        "a failure starts the next at once"
    );
    assert_eq!(raced(&[(500, Err(1)), (150, Err(2)), (10, Ok(3))], 1_000).await, (Ok(3), 210));
}

#[tokio::test(start_paused = true)]
async fn a_race_gives_all_failures_or_those_that_came_in_time() {
    assert_eq!(raced(&[], 1_000).await, (Err(vec![]), 0));
    assert_eq!(raced(&[(50, Err(1)), (0, Err(2))], 1_000).await, (Err(vec![1, 2]), 50));
    assert_eq!(raced(&[(5_000, Ok(1)), (20, Err(2))], 300).await, (Err(vec![2]), 300));
    assert_eq!(raced(&[(0, Ok(1))], 0).await, (Ok(1), 0), "what is ready at once is ready in time");
}

#[tokio::test(start_paused = true)]
async fn a_race_that_is_dropped_or_won_ends_all_attempts() {
    let running = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let attempt = |ms: u32| {
        running.fetch_add(1, Ordering::Relaxed);
        let count = Count(Arc::clone(&running));
        async move {
            let _count = count;
            sleep_until(in_ms(ms)).await;
            Ok::<_, ()>(ms)
        }
    };
    assert_eq!(race(vec![900, 900, 10], MS, in_ms(1_000), attempt).await, Ok(10));
    assert_eq!(running.load(Ordering::Relaxed), 0);
    assert!(until(in_ms(50), race(vec![900, 900], MS, in_ms(1_000), attempt)).await.is_none());
    assert_eq!(running.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn joined_futures_run_side_by_side_and_keep_their_order() {
    let start = now();
    let outputs = join_all([30, 10, 20].map(|ms| async move {
        sleep_until(in_ms(ms)).await;
        ms
    }));
    assert_eq!(outputs.await, [30, 10, 20]);
    assert_eq!((now() - start).as_millis(), 30);
    assert!(join_all(std::iter::empty::<std::future::Ready<()>>()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tasks_give_what_ends_first_and_survive_a_panic() {
    let mut tasks = Tasks::new();
    for ms in [30, 10] {
        tasks.spawn(async move {
            sleep_until(in_ms(ms)).await;
            ms
        });
    }
    tasks.spawn(async { panic!("one of them panics") });
    assert_eq!((tasks.next().await, tasks.next().await), (10, 30));
    assert!(until(in_ms(1_000), tasks.next()).await.is_none(), "never ready while there is none");
}

#[tokio::test(start_paused = true)]
async fn tasks_end_with_their_owner() {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut tasks = Tasks::new();
    tasks.spawn(std::future::pending::<()>());
    let owned = Owned::spawn(std::future::pending());
    assert_eq!(alive(), 2);
    drop((tasks, owned));
    sleep_until(in_ms(1)).await;
    assert_eq!(alive(), 0);
}

#[test]
fn chance_can_be_repeated() {
    let draw = |seed| {
        let _simulation = simulate(seed);
        (random::<16>().unwrap(), rng().u64(..))
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(!simulated());
}

#[test]
fn the_clock_does_not_overflow() {
    let now = now();
    assert_eq!(after(now, MS), now + MS);
    assert!(after(now, Duration::MAX) > now);
}

/// Where the system's tick has not changed the clock is not looked at; where it has, it is ahead by [`TICK`] and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_coarse_clock_is_ahead_by_a_tick_at_most_and_stands_in_between() {
    let mut clock = CoarseClock::new();
    let mut last = (None, clock.read());
    let (mut stood, mut moved) = (0, 0);
    while moved < 5 {
        let (tick, before) = (coarsetime::Instant::now(), now());
        let read = clock.read();
        let (after, same_tick) = (now(), coarsetime::Instant::now() == tick);
        assert!(read.now <= after + TICK, "{:?} too far ahead", read.now - after);
        assert!(read.now >= last.1.now, "it went back");
        if same_tick && last.0 == Some(tick) {
            assert_eq!((read.now, read.wall_ms), (last.1.now, last.1.wall_ms), "nobody looked");
            stood += 1;
        } else if same_tick && last.0.is_some() {
            assert!(read.now >= before + TICK, "who is timed by it could be late");
            moved += 1;
        }
        last = (same_tick.then_some(tick), read);
    }
    assert!(stood > moved, "{stood} of {moved}");
}

#[tokio::test(start_paused = true)]
async fn a_coarse_clock_is_exact_where_time_can_be_paused() {
    let mut clock = CoarseClock::new();
    for _ in 0..100 {
        assert_eq!(clock.read().now, now());
        tokio::time::advance(MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_stands_still_and_ends_with_all_that_it_has_started() {
    let ticks = Arc::new(AtomicUsize::new(0));
    let process = Process::new();
    let seen = Arc::clone(&ticks);
    let tick = async move || {
        loop {
            sleep_until(in_ms(10)).await;
            seen.fetch_add(1, Ordering::Relaxed);
        }
    };
    // Its task is started by one of its own, in a set.
    let parent = process.spawn(async move {
        let mut tasks = Tasks::new();
        tasks.spawn(async move { tick().await });
        tasks.next().await
    });
    let after = async |ms| {
        sleep_until(in_ms(ms)).await;
        ticks.load(Ordering::Relaxed)
    };
    assert_eq!(after(35).await, 3);
    process.stop();
    assert_eq!(after(1_000).await, 3, "it stands still");
    process.go_on();
    assert_eq!(after(15).await, 5, "once at once, for the time that is over");
    process.kill();
    assert!(parent.await.unwrap_err().is_cancelled());
    assert_eq!(after(1_000).await, 5);
    assert!(Process::current().is_none());
}
