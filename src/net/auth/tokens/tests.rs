use super::super::token::BoxFuture;
use super::*;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Gives what it was told to, one after the other, and notes when it was asked; at the end it does not answer.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Instant>>,
}

enum Answer {
    /// A token of so many seconds; without a lifetime for 0.
    Token(&'static str, u64),
    Fails,
    Panics,
}

use Answer::{Fails, Panics};

impl TokenProvider for Script {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        self.asked.lock().unwrap().push(task::now());
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some(Answer::Token(value, 0)) => Token::new(value),
                Some(Answer::Token(value, seconds)) => {
                    Ok(Token::new(value)?.lifetime(Duration::from_secs(seconds)))
                }
                Some(Fails) => Err(Error::new(ErrorKind::Connect, "ask the issuer")),
                Some(Panics) => panic!("the provider's own"),
                None => std::future::pending().await,
            }
        })
    }
}

struct Bench {
    script: Arc<Script>,
    tokens: Tokens,
    start: Instant,
}

fn bench(answers: impl IntoIterator<Item = Answer>) -> Bench {
    let script = Arc::new(Script { answers: Mutex::new(answers.into_iter().collect()), ..Script::default() });
    let refresh = LoginRefresh::default();
    let tokens = Tokens::new(Arc::clone(&script) as Arc<dyn TokenProvider>, refresh, Vec::new());
    Bench { script, tokens, start: task::now() }
}

impl Bench {
    async fn at(&self, seconds: u64) {
        task::sleep_until(self.start + Duration::from_secs(seconds)).await;
    }

    /// The token of now, which must be there at once or be refused at once.
    async fn get(&self) -> Result<String> {
        let deadline = task::now() + Duration::from_millis(1);
        let got = task::until(deadline, self.tokens.get()).await.expect("waited for the provider");
        got.map(|token| token.value().to_owned())
    }

    /// When the provider was asked, in seconds.
    fn asked(&self) -> Vec<u64> {
        let asked = self.script.asked.lock().unwrap();
        asked.iter().map(|at| at.duration_since(self.start).as_secs()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_before_a_token_is_needed_nor_after_one_expired_unneeded() {
    let bench = bench([Answer::Token("a", 1000), Fails]);
    bench.at(500).await;
    assert!(bench.asked().is_empty());
    assert_eq!(bench.get().await.unwrap(), "a");
    bench.at(100_000).await;
    // At 65 % it is renewed: 700 s leave the buffer of 300. The provider then hangs for a minute at a time.
    let asked = bench.asked();
    assert_eq!((asked[0], asked[1]), (500, 1200));
    assert!(asked.len() <= 7 && asked[asked.len() - 1] < 1500, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_its_window_while_the_old_one_is_used() {
    let bench = bench([Answer::Token("a", 10_000), Answer::Token("b", 10_000)]);
    assert_eq!(bench.get().await.unwrap(), "a");
    bench.at(7_990).await;
    assert_eq!((bench.get().await.unwrap().as_str(), bench.asked().len()), ("a", 1));
    bench.at(8_510).await;
    assert_eq!(bench.get().await.unwrap(), "b");
    let renewed = bench.asked()[1];
    assert!((8_000..=8_500).contains(&renewed), "{renewed}");
}

#[tokio::test(start_paused = true)]
async fn while_the_provider_fails_the_old_token_is_used_until_it_expires_then_the_error_is_told() {
    let mut answers = vec![Answer::Token("a", 1000)];
    answers.extend((0..1000).map(|_| Fails));
    let bench = bench(answers);
    for second in [0, 700, 710, 999] {
        bench.at(second).await;
        assert_eq!(bench.get().await.unwrap(), "a", "{second}");
    }
    // Back-off: from 0.1 s doubling to 10 s, so about seven in the first 10 s and then one in 10 s.
    let asked = bench.asked();
    assert!((30..50).contains(&asked.len()), "{asked:?}");
    bench.at(1001).await;
    let error = bench.get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    let told = "get an OAUTHBEARER token: the last one has expired and there is no other: no connection: ask the issuer";
    assert!(error.to_string().starts_with(told), "{error}");
    // Those who want one meanwhile are told at once, and do not make it ask more often.
    let before = bench.asked().len();
    for step in 0..1000 {
        task::sleep_until(bench.start + Duration::from_millis(1_001_000 + 100 * step)).await;
        assert!(bench.get().await.is_err());
    }
    let more = bench.asked().len() - before;
    assert!((9..=14).contains(&more), "{more}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_well_again_gives_the_next_token() {
    let bench = bench([Fails, Fails, Answer::Token("a", 1000)]);
    assert!(bench.get().await.is_err());
    assert!(bench.get().await.is_err(), "asked again before the back-off was over");
    assert_eq!(bench.asked().len(), 1);
    bench.at(1).await;
    assert!(bench.get().await.is_err());
    bench.at(2).await;
    assert_eq!(bench.get().await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_lifetime_is_for_one_authentication() {
    let bench = bench([Answer::Token("a", 0), Answer::Token("b", 0), Fails]);
    bench.tokens.ready().await.unwrap();
    assert_eq!(bench.get().await.unwrap(), "b");
    bench.tokens.ready().await.unwrap();
    assert_eq!(bench.asked().len(), 2);
    assert!(bench.get().await.is_err());
    assert!(bench.tokens.ready().await.is_err(), "connects though the provider has just failed");
}

#[tokio::test(start_paused = true)]
async fn many_who_need_a_token_ask_once() {
    let bench = bench([Answer::Token("a", 1000)]);
    let tokens = task::join_all((0..100).map(|_| bench.tokens.get())).await;
    assert!(tokens.into_iter().all(|token| token.unwrap().value() == "a"));
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_given_up_does_not_stop_the_provider() {
    struct Slow;
    impl TokenProvider for Slow {
        fn token(&self) -> BoxFuture<'_, Result<Token>> {
            Box::pin(async {
                task::sleep_until(task::now() + Duration::from_secs(20)).await;
                Ok(Token::new("a")?.lifetime(Duration::from_secs(1000)))
            })
        }
    }
    let tokens = Tokens::new(Arc::new(Slow), LoginRefresh::default(), Vec::new());
    let start = task::now();
    assert!(task::until(start + Duration::from_secs(10), tokens.get()).await.is_none());
    assert_eq!(tokens.get().await.unwrap().value(), "a");
    assert_eq!(task::now() - start, Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_or_hangs_or_gives_what_has_expired_is_told_of() {
    let bench = bench([Panics]);
    let error = bench.get().await.unwrap_err();
    assert!(error.to_string().contains("the token provider panicked"), "{error}");
    bench.at(1).await;
    let error = bench.tokens.get().await.unwrap_err();
    assert_eq!((error.kind(), task::now() - bench.start), (ErrorKind::Timeout, Duration::from_secs(61)));

    struct Expired;
    impl TokenProvider for Expired {
        fn token(&self) -> BoxFuture<'_, Result<Token>> {
            Box::pin(async { Ok(Token::new("a")?.lifetime(Duration::ZERO)) })
        }
    }
    let tokens = Tokens::new(Arc::new(Expired), LoginRefresh::default(), Vec::new());
    let error = tokens.get().await.unwrap_err();
    assert!(error.to_string().contains("that has expired"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_but_not_again_and_again() {
    let bench = bench([Answer::Token("a", 10_000), Answer::Token("b", 10_000)]);
    assert_eq!(bench.get().await.unwrap(), "a");
    bench.tokens.refused();
    bench.at(1).await;
    assert_eq!(bench.asked(), [0], "the token was seconds old");
    bench.at(100).await;
    bench.tokens.refused();
    bench.at(101).await;
    assert_eq!(bench.get().await.unwrap(), "b");
    assert_eq!(bench.asked(), [0, 100]);
}

#[tokio::test(start_paused = true)]
async fn extensions_of_the_settings_go_with_each_token_that_has_none_of_the_name() {
    struct Extended;
    impl TokenProvider for Extended {
        fn token(&self) -> BoxFuture<'_, Result<Token>> {
            Box::pin(async { Token::new("a")?.extension("cluster", "own") })
        }
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let extensions = vec![pair("cluster", "of settings"), pair("pool", "p")];
    let tokens = Tokens::new(Arc::new(Extended), LoginRefresh::default(), extensions);
    let token = tokens.get().await.unwrap();
    assert_eq!(token.extensions(), [pair("cluster", "own"), pair("pool", "p")]);
}

#[test]
fn renewal_follows_the_windows() {
    let refresh = LoginRefresh::default();
    let after = |seconds, chance| renew_after(Duration::from_secs(seconds), &refresh, chance).as_secs();
    // 80 to 85 %.
    assert_eq!((after(10_000, 0.0), after(10_000, 1.0)), (8_000, 8_500));
    // The buffer of 300 s comes first.
    assert_eq!((after(1_000, 0.0), after(1_000, 1.0)), (700, 700));
    // At least 60 s after the last.
    assert_eq!(after(360, 0.0), 60);
    // No room for both: as if they were not there.
    assert_eq!((after(359, 0.0), after(10, 0.0)), (287, 8));
}
