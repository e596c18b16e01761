//! Clients with a mistake each, played like any other: the bench is seen to find it.

use crate::case::{Case, Greeting, Lie, Mode};
use crate::client::{asked_to_end, say};
use crate::run;
use crate::{cases, forge};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What each does wrong, and the word by which the judge names it.
const MISTAKES: [(&str, &str); 8] = [
    ("storms", "connects in a second"),
    ("floods", "requests in a second"),
    ("panics", "panic"),
    ("hoards", "MiB of memory"),
    ("blabs", "a secret is in"),
    ("invents", "the peer never did"),
    ("skips", "where 0 comes next"),
    ("hangs", "did not end"),
];

/// Does the mistake until it is asked to end, or for longer.
pub async fn run(mistake: &str, settings: &[(String, String)]) {
    let setting =
        |key| settings.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value.as_str());
    let peer = setting("bootstrap.servers").to_owned();
    // What a bench waits for before it lies.
    for offset in 0..2 {
        say("acked", format_args!("r{offset} {offset}"));
        if mistake != "skips" {
            say("got", format_args!("{offset} {}", forge::honest_value(offset)));
        }
    }
    say("error", "something is wrong");
    let mut hoard = Vec::new();
    match mistake {
        "storms" => drop(tokio::spawn(async move {
            loop {
                drop(TcpStream::connect(&peer).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })),
        "floods" => drop(tokio::spawn(flood(peer))),
        "panics" => drop(tokio::spawn(async { panic!("by mistake") })),
        "hoards" => hoard = vec![1u8; 300 << 20],
        "blabs" => tracing::trace!(password = setting("sasl.password"), "logging in"),
        "invents" => {}
        "skips" => {
            (7..9).for_each(|offset| say("got", format_args!("{offset} {}", forge::honest_value(offset))))
        }
        "hangs" => std::future::pending().await,
        other => panic!("no mistake is called {other}"),
    }
    asked_to_end().await;
    assert!(hoard.iter().all(|byte| *byte == 1));
}

/// One request after the other, without a pause worth the name.
async fn flood(peer: String) {
    let mut stream = TcpStream::connect(&peer).await.unwrap();
    loop {
        // ApiVersions 0, correlation id 7, no client id.
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).await.unwrap();
        let length = stream.read_u32().await.unwrap();
        stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_mistake_is_found() {
    let plays = MISTAKES.map(|(mistake, word)| {
        tokio::spawn(async move {
            // Told to nobody but those who connect anew: none of these cares.
            let case = Case::new("planted", mistake, Lie::Greet(Greeting::Close));
            let case =
                if mistake == "storms" { case } else { Case::new("planted", mistake, cases::no_lie()) };
            (word, run::play(case, Mode::ForEver, mistake, None).await)
        })
    });
    for play in plays {
        let (word, report) = play.await.unwrap();
        let faults = report.faults();
        assert!(faults.iter().any(|fault| fault.contains(word)), "{}: {word}: {faults:?}", report.case);
    }
}
