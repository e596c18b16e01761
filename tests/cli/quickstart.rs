//! `ottla quickstart`: on the embedded broker, again and again on one broker, and on a real Kafka by five variables.

use crate::real::process;
use crate::tool::{Tool, topic};
use std::time::Duration;

fn assert_verified(text: &str) {
    let verified = text.lines().any(|line| line.starts_with("Verified: all 200 orders"));
    assert!(verified, "{text}");
    // Both instances of billing have had a share, and together they have read everything.
    let numbers = |line: &str| -> Vec<usize> {
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    let line = |told: &str| {
        text.lines().find(|line| line.contains(told)).unwrap_or_else(|| panic!("{told}: {text}"))
    };
    let shares = line("one instance read").rsplit("; ").next().unwrap();
    let [first, of_first, second, of_second] = numbers(shares)[..] else { panic!("{shares}") };
    let count = numbers(line("2. Each service reads all"))[1];
    assert_eq!((first + second, of_first + of_second), (count, 6), "{text}");
    assert!(of_first == 3 && first > 0 && second > 0, "{text}");
}

#[test]
fn without_settings_it_brings_its_own_broker() {
    let run = Tool::bare().run("quickstart", "").success();
    assert!(
        run.text().starts_with("No cluster is set, so this runs on an embedded broker"),
        "{}",
        run.text()
    );
    for told in ["billing ", "shipping ", "analytics ", "A replay"] {
        assert!(run.text().contains(told), "{told}: {}", run.text());
    }
    assert_verified(&run.text());
    assert_eq!(run.stderr, "");
    assert!(run.took < Duration::from_secs(20), "{:?}", run.took);
}

#[test]
fn repeated_runs_do_not_confuse_each_other() {
    let (tool, topic) = (Tool::new(), topic());
    tool.run(&format!("produce {topic}"), "no event at all\n").success();
    for earlier in [0, 200, 400] {
        let run = tool.run(&format!("quickstart --topic {topic}"), "").success();
        assert_verified(&run.text());
        assert!(run.text().contains("1 records that are no events of orders"), "{}", run.text());
        let told = format!("and {earlier} orders of earlier runs");
        assert_eq!(run.text().contains(&told), earlier > 0, "{}", run.text());
    }
    let quiet = tool.lines(&format!("quickstart -q --topic {topic}"), "");
    assert_eq!(quiet.iter().filter(|line| !line.is_empty()).count(), 1, "{quiet:?}");
}

#[test]
fn half_of_the_settings_is_a_mistake_and_not_a_wish_for_an_embedded_broker() {
    let run = Tool::bare().run("quickstart -X security.protocol=SASL_SSL", "");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("security.protocol is set"), "{}", run.stderr);
    assert!(run.stderr.contains("KAFKA_BOOTSTRAP_SERVERS"), "{}", run.stderr);
}

#[test]
fn it_gives_up_when_its_time_is_over() {
    let run = Tool::bare().run("quickstart --timeout 0", "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("not done after 0 seconds"), "{}", run.stderr);
}

#[test]
fn on_a_real_kafka_the_variables_of_a_managed_cluster_are_enough() {
    let kafka = real_kafka!();
    let tool = Tool::bare();
    let topic = crate::real::kafka::unique("quickstart");
    let run = |arguments: &str, input: &str| {
        let mut command = tool.command(arguments);
        command
            .env("KAFKA_BOOTSTRAP_SERVERS", kafka.sasl_ssl())
            .env("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
            .env("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
            .env("KAFKA_SASL_USERNAME", kafka.user())
            .env("KAFKA_SASL_PASSWORD", kafka.password())
            .env("KAFKA_SSL_CA_LOCATION", kafka.ca());
        process::run(&mut command, input.as_bytes(), Duration::from_secs(60)).success()
    };
    for _ in 0..2 {
        let told = run(&format!("quickstart --topic {topic}"), "").text();
        assert!(told.starts_with("On the cluster at localhost"), "{told}");
        assert_verified(&told);
    }
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let lines: Vec<String> = (0..5000).map(|number| format!("{codec} {number:04}")).collect();
        run(&format!("produce {topic}-{codec} -z {codec} -H h=1 -K :"), &lines.join("\n"));
        let mut read = run(&format!("consume {topic}-{codec} -e"), "").lines();
        read.sort();
        assert_eq!(read, lines);
    }
    assert!(!run("groups", "").text().contains(&topic), "it has left groups behind");
    let deleted = run(&format!("topics delete {topic}"), "");
    assert_eq!(deleted.lines(), [format!("deleted {topic}")]);
}
