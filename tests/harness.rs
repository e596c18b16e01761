//! The test bench itself: a real Kafka starts, independent clients reach it on every listener, and it can be killed.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests, with a clock of their own")]

#[macro_use]
#[path = "support/real/mod.rs"]
mod real;

use std::process::Command;
use std::time::Duration;

use real::kafka::{self, RealKafka};
use real::process;

#[test]
fn kcat_and_java_read_each_other_through_the_real_broker() {
    let kafka = real_kafka!();
    let topic = kafka::unique("harness");
    kafka.java_create_topic(&topic, &["--partitions", "1"]);
    kafka::run(&mut kafka.kcat_sasl_ssl(&["-P", "-t", &topic, "-K", ":", "-z", "lz4"]), "k1:from kcat\n");
    let reader = kafka.reader_property();
    let keyed = ["--topic", &topic, reader, "parse.key=true", reader, "key.separator=:"];
    kafka.java_produce(kafka.plaintext(), &keyed, "k2:from java, žluť\n");

    let by_kcat =
        kafka::run(&mut kafka.kcat(&["-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-K", ":"]), "");
    let by_java = kafka.java_consume(
        kafka.plaintext(),
        &[
            "--topic",
            &topic,
            "--from-beginning",
            "--max-messages",
            "2",
            kafka.formatter_property(),
            "print.key=true",
        ],
    );
    assert_eq!(by_kcat.lines(), ["k1:from kcat", "k2:from java, žluť"]);
    assert_eq!(by_java.lines(), ["k1\tfrom kcat", "k2\tfrom java, žluť"]);
}

#[test]
fn certificates_to_be_refused_are_refused() {
    let kafka = real_kafka!();
    for listener in ["expired", "not_yet_valid", "wrong_host", "other_ca"] {
        let mut kcat = Command::new("kcat");
        kcat.args(["-L", "-m", "2", "-b", kafka.fact(listener), "-X", "security.protocol=SASL_SSL"])
            .args(["-X", "sasl.mechanism=PLAIN", "-X", &format!("ssl.ca.location={}", kafka.fact("ca"))])
            .args(["-X", "sasl.username=alice", "-X", &format!("sasl.password={}", kafka.password())]);
        let refused = process::run(&mut kcat, b"", kafka::CLIENT_LIMIT);
        assert!(refused.stderr.contains("certificate verify fail"), "{listener}: {}", refused.stderr);
    }
}

#[test]
fn a_broker_of_ones_own_is_killed_and_comes_back_with_its_data() {
    let Some(kafka) = RealKafka::start(&[]) else { return real::skip("no Java or Maven") };
    let topic = kafka::unique("killed");
    kafka::run(&mut kafka.kcat(&["-P", "-t", &topic, "-p", "0", "-X", "acks=all"]), "kept\n");
    kafka.command("kill 1");
    let dead = process::run(&mut kafka.kcat(&["-L", "-m", "1"]), b"", Duration::from_secs(10));
    assert_ne!(dead.code, Some(0), "nobody should answer: {}", dead.text());
    kafka.command("start 1");
    let read =
        kafka::run(&mut kafka.kcat(&["-C", "-t", &topic, "-p", "0", "-o", "beginning", "-e", "-q"]), "");
    assert_eq!(read.lines(), ["kept"]);

    let folder = kafka.fact("dir").to_owned();
    drop(kafka);
    assert!(!std::path::Path::new(&folder).exists(), "{folder} was left behind");
}

#[test]
fn a_child_that_does_not_end_is_killed_and_tells_what_it_said() {
    let hangs = std::panic::catch_unwind(|| {
        process::run(
            Command::new("sh").args(["-c", "echo so far; sleep 60"]),
            b"",
            Duration::from_millis(300),
        )
    });
    let said = *hangs.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("did not end in 300ms") && said.contains("so far"), "{said}");
}
