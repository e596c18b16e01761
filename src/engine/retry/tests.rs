use super::*;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a request is: the columns of the matrix.
const REQUESTS: [(&str, Repeat, Route); 6] = [
    ("read any", Repeat::Read, Route::Any),
    ("read leader", Repeat::Read, Route::Leader),
    ("write leader", Repeat::Write, Route::Leader),
    ("write coord.", Repeat::Write, Route::TransactionCoordinator),
    ("once contr.", Repeat::WriteOnce, Route::Controller),
    ("read node", Repeat::Read, Route::Node),
];

fn failure(fault: ErrorKind, sent: Sent, repeat: Repeat, route: Route) -> Failure {
    let now = crate::task::now();
    Failure { fault, sent, repeat, route, attempt: 1, now, deadline: now + Duration::from_secs(30) }
}

fn row(fault: ErrorKind, sent: Sent) -> String {
    let mut row = String::new();
    for (_, repeat, route) in REQUESTS {
        let next =
            Policy::default().decide(&failure(fault, sent, repeat, route), &mut fastrand::Rng::with_seed(1));
        let word = match next {
            Next::Done => "done",
            Next::Retry(_) => "retry",
            Next::Refresh(_) => "refresh",
            Next::FindCoordinator(_) => "find coord.",
            Next::Reconnect(_) => "reconnect",
            Next::Rebootstrap(_) => "rebootstrap",
            Next::Fail => "fail",
            Next::Expire => "expire",
        };
        write!(row, " {word:<12}").unwrap();
    }
    row.trim_end().to_owned()
}

fn heading(first: &str) -> String {
    let columns: String = REQUESTS.iter().map(|(name, ..)| format!(" {name:<12}")).collect();
    format!("{first:<26}{}\n", columns.trim_end())
}

/// `matrix.txt` is the page that says what is done about what.
#[test]
fn the_matrix_is_as_printed() {
    let page = format!("{}\n{}", faults(), error_codes());
    println!("{page}");
    assert_eq!(page, include_str!("matrix.txt"));
}

/// Faults on our side of the connection.
fn faults() -> String {
    let mut page = heading("Fault");
    for (fault, sent) in [
        (ErrorKind::Resolve, Sent::Never),
        (ErrorKind::Connect, Sent::Never),
        (ErrorKind::Tls, Sent::Never),
        (ErrorKind::Authentication, Sent::Never),
        (ErrorKind::UnsupportedVersion, Sent::Never),
        (ErrorKind::Timeout, Sent::Never),
        (ErrorKind::Timeout, Sent::Maybe),
        (ErrorKind::Disconnected, Sent::Never),
        (ErrorKind::Disconnected, Sent::Maybe),
        (ErrorKind::Protocol, Sent::Maybe),
        (ErrorKind::Records, Sent::Maybe),
        (ErrorKind::Closed, Sent::Never),
    ] {
        let sent_word = if sent == Sent::Maybe { ", maybe sent" } else { "" };
        writeln!(page, "{:<26}{}", format!("{fault:?}{sent_word}"), row(fault, sent)).unwrap();
    }
    page
}

/// Error codes of the broker: what is done, and below it the codes for which it is.
fn error_codes() -> String {
    let mut rows: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let newer = ErrorCode(3000);
    for code in ErrorCode::all().chain([newer]) {
        rows.entry(row(ErrorKind::Broker(code), Sent::Maybe)).or_default().push(code.name());
    }
    let mut page = heading("Error code");
    for (row, codes) in rows {
        writeln!(page, "{:<26}{row}", "").unwrap();
        let mut line = String::from(" ");
        for code in codes {
            if line.len() + code.len() > 108 {
                writeln!(page, "{line}").unwrap();
                line = String::from(" ");
            }
            write!(line, " {code}").unwrap();
        }
        writeln!(page, "{line}").unwrap();
    }
    page
}

#[test]
fn a_retry_that_would_begin_after_the_deadline_is_none() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut late = failure(ErrorKind::Disconnected, Sent::Maybe, Repeat::Read, Route::Any);
    late.deadline = late.now + Duration::from_millis(50);
    assert_eq!(Policy::default().decide(&late, &mut rng), Next::Expire);
    late.fault = ErrorKind::Broker(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(Policy::default().decide(&late, &mut rng), Next::Fail, "a final fault is told as such");
}

#[test]
fn retries_may_be_counted() {
    let mut rng = fastrand::Rng::with_seed(1);
    let policy = Policy { retries: 2, ..Policy::default() };
    let mut failure = failure(ErrorKind::Disconnected, Sent::Maybe, Repeat::Write, Route::Leader);
    let decisions: Vec<bool> = (1..=4)
        .map(|attempt| {
            failure.attempt = attempt;
            matches!(policy.decide(&failure, &mut rng), Next::Refresh(_))
        })
        .collect();
    assert_eq!(decisions, [true, true, false, false]);
}

#[test]
fn concurrent_transactions_are_asked_again_quickly() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut failure = failure(
        ErrorKind::Broker(ErrorCode::CONCURRENT_TRANSACTIONS),
        Sent::Maybe,
        Repeat::Write,
        Route::TransactionCoordinator,
    );
    for attempt in 1..20 {
        failure.attempt = attempt;
        let Next::Retry(at) = Policy::default().decide(&failure, &mut rng) else { panic!("not retried") };
        let pause = at - failure.now;
        assert!((Duration::from_millis(16)..=Duration::from_millis(100)).contains(&pause), "{pause:?}");
    }
}

#[test]
fn pauses_double_up_to_the_longest_and_are_never_the_same() {
    let mut rng = fastrand::Rng::with_seed(1);
    assert_eq!(Backoff::RETRY.after(0, &mut rng), Duration::ZERO);
    for (attempts, middle_ms) in [(1, 100), (2, 200), (3, 400), (4, 800)] {
        for _ in 0..100 {
            let pause = Backoff::RETRY.after(attempts, &mut rng).as_millis();
            assert!((middle_ms * 8 / 10..=middle_ms * 12 / 10).contains(&pause), "{attempts}: {pause}");
        }
    }
    for attempts in [5, 40, u32::MAX] {
        let pause = Backoff::RETRY.after(attempts, &mut rng);
        assert!(
            (Duration::from_millis(800)..=Duration::from_secs(1)).contains(&pause),
            "{attempts}: {pause:?}"
        );
    }
    assert_ne!(Backoff::RETRY.after(1, &mut rng), Backoff::RETRY.after(1, &mut rng));
    let endless = Backoff { base: Duration::MAX, max: Duration::MAX };
    assert!(endless.after(9, &mut rng) > Duration::from_secs(1));
}

#[test]
fn what_lasts_is_told_less_and_less_often() {
    let told = |fault| (0..100).filter(|failures| is_worth_a_warning(fault, *failures)).collect::<Vec<u32>>();
    assert_eq!(told(ErrorKind::Broker(ErrorCode::NOT_LEADER_OR_FOLLOWER)), [4, 8, 16, 32, 64]);
    assert_eq!(told(ErrorKind::Disconnected), [0; 0], "its connection tells");
}
