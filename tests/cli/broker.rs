//! `ottla broker`.

use crate::tool::{Running, Tool, topic};
use std::fs;
use std::time::{Duration, Instant};

/// What it prints, once it is there.
fn settings(broker: &Running, lines: usize) -> Vec<String> {
    (0..lines).map(|_| broker.line()).collect()
}

#[test]
fn it_serves_until_it_is_interrupted() {
    let (tool, topic) = (Tool::bare(), topic());
    let mut broker = tool.start("broker --listen 127.0.0.1:0 --partitions 2");
    let settings = settings(&broker, 2);
    assert_eq!(settings[1], "security.protocol=PLAINTEXT");
    let server = settings[0].strip_prefix("bootstrap.servers=").unwrap();
    assert!(broker.complaint().contains("in memory"));
    let hints: Vec<String> = (0..3).map(|_| broker.complaint()).collect();
    for (hint, says) in hints.iter().zip(["kcat -b ", "--bootstrap-server ", "ottla -b "]) {
        assert!(hint.contains(says) && hint.contains(server), "{hint}");
    }

    tool.run(&format!("-b {server} produce {topic}"), "one\ntwo\n").success();
    let mut read = tool.lines(&format!("-b {server} consume {topic} -e"), "");
    read.sort();
    assert_eq!(read, ["one", "two"]);
    let listed = tool.lines(&format!("-b {server} topics"), "");
    assert!(listed.contains(&format!("  {topic}: 2 partitions, 1 replica")), "{listed:?}");

    let taken = tool.run(&format!("broker --listen {server}"), "");
    assert_eq!(taken.code, Some(1), "{}", taken.stderr);
    assert!(taken.stderr.contains(server), "{}", taken.stderr);

    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn over_tls_with_sasl_it_lets_in_who_has_what_it_prints_and_the_password() {
    let (tool, topic) = (Tool::bare(), topic());
    let mut broker = tool.start("broker --listen 127.0.0.1:0 --tls --sasl alice:wonder:land -q");
    let settings = settings(&broker, 5);
    let ca = settings[2].strip_prefix("ssl.ca.location=").unwrap();
    assert!(settings.iter().all(|line| !line.contains("wonder")), "{settings:?}");
    fs::write(tool.folder().join("broker.properties"), settings.join("\n")).unwrap();

    let all =
        |more: &str, command: &str| tool.run(&format!("-F broker.properties {more} {command}"), "one\n");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let login = format!("-X sasl.password=wonder:land -X sasl.mechanism={mechanism}");
        all(&login, &format!("produce {topic}")).success();
    }
    let read = all("-X sasl.password=wonder:land", &format!("consume {topic} -e")).success();
    assert_eq!(read.lines(), ["one", "one", "one"]);

    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let wrong = all(&format!("-X sasl.password=wrong -X sasl.mechanism={mechanism}"), "topics");
        assert_eq!(wrong.code, Some(1));
        assert!(wrong.stderr.contains("authentication failed"), "{}", wrong.stderr);
        assert_eq!(wrong.stderr.lines().count(), 1, "{}", wrong.stderr);
    }
    let plain = all("-X sasl.password=wonder:land -X security.protocol=SASL_PLAINTEXT", "topics");
    assert_eq!(plain.code, Some(1));
    assert!(plain.stderr.contains("TLS"), "{}", plain.stderr);
    let distrust = tool
        .command("topics")
        .args(["-F", "broker.properties", "-X", "sasl.password=wonder:land"])
        .args(["-X", "ssl.ca.location="])
        .output()
        .unwrap();
    assert_eq!(distrust.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&distrust.stderr).contains("certificate"), "{distrust:?}");

    assert!(fs::exists(ca).unwrap());
    broker.signal("TERM");
    assert_eq!(broker.end(), Some(143));
    assert!(!fs::exists(ca).unwrap(), "{ca} was left behind");
}

#[test]
fn what_it_says_of_itself_is_how_others_reach_it() {
    let tool = Tool::bare();
    let mut broker = tool.start("broker --listen 127.0.0.1:0 --tls --sasl alice:wonder");
    let hints: Vec<String> = (0..8).map(|_| broker.complaint()).collect();
    assert!(hints.iter().all(|line| !line.contains("wonder")), "{hints:?}");
    let own =
        hints[2].trim().strip_prefix("ottla  ottla ").unwrap().replace("password=..", "password=wonder");
    tool.lines(&own, "");
    let kcat =
        hints[1].trim().strip_prefix("kcat   kcat ").unwrap().replace("password=..", "password=wonder");
    if std::process::Command::new("kcat").arg("-V").output().is_ok() {
        let listed = std::process::Command::new("kcat").args(kcat.split(' ')).output().unwrap();
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    }
    assert!(hints[3].contains("--command-config FILE"), "{hints:?}");
    assert_eq!(hints[5].trim(), "security.protocol=SASL_SSL");
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn it_passes_for_an_older_release_and_bounds_what_it_keeps() {
    let (tool, topic) = (Tool::bare(), topic());
    let mut broker = tool.start("broker --listen 127.0.0.1:0 --as-version 2.8 --max-stored 1 -q");
    let server = settings(&broker, 1).remove(0);
    let server = server.strip_prefix("bootstrap.servers=").unwrap();
    let lines = format!("{}\n", "x".repeat(10_000)).repeat(300);
    tool.run(&format!("-b {server} produce {topic} -p 0 -X batch.size=100000"), &lines).success();
    let left = tool.lines(&format!("-b {server} consume {topic} -o beginning -e -c 1 -f %o"), "");
    assert!(left[0].parse::<u32>().unwrap() > 100, "the oldest are gone: {left:?}");
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
    let unknown = tool.run("broker --listen 127.0.0.1:0 --as-version 1.0", "");
    assert!(unknown.code != Some(0) && unknown.stderr.contains("2.8"), "{}", unknown.stderr);
}

#[test]
fn it_takes_tokens_that_nobody_signed_and_keeps_their_users_from_what_is_denied() {
    let (tool, topic) = (Tool::bare(), topic());
    let rule = format!("operation=Write,topic={topic},principal=User:alice");
    let start = format!("broker --listen 127.0.0.1:0 --oauthbearer-unsecured --deny {rule} -q");
    let mut broker = tool.start(&start);
    let settings = settings(&broker, 4);
    assert_eq!(settings[1..3], ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=OAUTHBEARER"]);
    fs::write(tool.folder().join("broker.properties"), settings.join("\n")).unwrap();
    let as_user = |user: &str| {
        let login = format!("-X sasl.oauthbearer.config=principal={user}");
        tool.run(&format!("-F broker.properties {login} produce {topic}"), "one\n")
    };
    as_user("bob").success();
    let denied = as_user("alice");
    assert_eq!(denied.code, Some(1));
    assert!(denied.stderr.contains("TOPIC_AUTHORIZATION_FAILED"), "{}", denied.stderr);
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn it_takes_the_tokens_that_it_is_told_of() {
    let tool = Tool::bare();
    // Of alice, until the year 2100: the tool reads from it when to get another.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6NDEwMjQ0NDgwMH0.";
    let mut broker = tool.start(&format!("broker --listen 127.0.0.1:0 --oauthbearer alice:{token} -q"));
    let mut settings = settings(&broker, 3);
    assert!(settings.iter().all(|line| !line.contains(token)), "{settings:?}");
    let file = tool.folder().join("token");
    settings.push(format!("sasl.oauthbearer.token.endpoint.url=file://{}", file.display()));
    fs::write(tool.folder().join("broker.properties"), settings.join("\n")).unwrap();
    for (content, code) in [(token.to_owned(), Some(0)), (token.replace("MH0", "MX0"), Some(1))] {
        fs::write(&file, content).unwrap();
        let run = tool.run("-F broker.properties topics", "");
        assert_eq!(run.code, code, "{}", run.stderr);
    }
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn it_holds_clients_to_quotas() {
    let (tool, topic) = (Tool::bare(), topic());
    let quota = "client=slow,consumer_byte_rate=100000";
    let mut broker = tool.start(&format!("broker --listen 127.0.0.1:0 --partitions 1 --quota {quota} -q"));
    let server = settings(&broker, 1).remove(0);
    let server = server.strip_prefix("bootstrap.servers=").unwrap();
    // Two batches, which are more than what may be got at once: ten seconds' worth.
    let lines = format!("{0}\n{0}\n", "x".repeat(530_000));
    tool.run(&format!("-b {server} produce {topic}"), &lines).success();
    let began = Instant::now();
    let read =
        tool.lines(&format!("-b {server} consume {topic} -o beginning -e -f %S -X client.id=slow"), "");
    assert_eq!(read.concat(), "530000530000");
    assert!(began.elapsed() >= Duration::from_millis(590), "{:?}", began.elapsed());
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn the_authority_can_be_written_where_one_wants_it() {
    let tool = Tool::bare();
    let mut broker = tool.start("broker --listen 127.0.0.1:0 --tls --ca-file ca.pem -q");
    let settings = settings(&broker, 3);
    assert_eq!(settings[1..], ["security.protocol=SSL", "ssl.ca.location=ca.pem"]);
    fs::write(tool.folder().join("broker.properties"), settings.join("\n")).unwrap();
    tool.lines("-F broker.properties topics", "");
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
    assert!(tool.folder().join("ca.pem").exists());
}

#[test]
fn it_sends_clients_to_where_it_is_told_to() {
    let tool = Tool::bare();
    for (option, advertised) in
        [("kafka.test", "kafka.test:"), ("kafka.test:1234", "kafka.test:1234"), ("[::1]:1234", "[::1]:1234")]
    {
        let mut broker = tool.start(&format!("broker --listen 127.0.0.1:0 --advertise {option} -q"));
        let server = settings(&broker, 1).remove(0);
        let told = server.strip_prefix("bootstrap.servers=").unwrap();
        assert!(told.starts_with(advertised), "{told}");
        assert!(told.rsplit_once(':').unwrap().1.parse::<u16>().unwrap() > 0, "{told}");
        broker.signal("INT");
        assert_eq!(broker.end(), Some(0));
    }
}

#[test]
fn what_it_prints_is_read_back_whatever_is_in_it() {
    let tool = Tool::bare();
    let mut command = tool.command("broker --listen 127.0.0.1:0 --tls -q --ca-file");
    command.args([r" c\a.pem", "--sasl", r" al\ice\u0 :wonder:land"]);
    let mut broker = Running::start(&mut command);
    fs::write(tool.folder().join("broker.properties"), settings(&broker, 5).join("\n")).unwrap();
    tool.lines("-F broker.properties -X sasl.password=wonder:land topics", "");
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn what_it_cannot_do_is_a_usage_error() {
    let tool = Tool::bare();
    for arguments in [
        "broker --partitions 0",
        "broker --sasl alice",
        "broker --sasl :x",
        "broker --ca-file x",
        "broker --oauthbearer alice",
        "broker --deny topic=t",
        "broker --quota producer_byte_rate=1",
        "broker --advertise :1",
        "broker --advertise host:",
        "broker --advertise host:0",
        "broker --advertise [::1]x",
    ] {
        let run = tool.run(arguments, "");
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
    }
}
