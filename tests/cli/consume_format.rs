//! `ottla consume -f` and `-J`, beside kcat: the same bytes for the same records, and where not, both are told here.

use crate::real::kafka::unique;
use crate::real::process::{self, Finished, installed};
use crate::tool::{Tool, shared, topic};
use ottla::broker::{Cluster, TopicSpec};
use std::process::Command;
use std::time::Duration;

/// Records that are hard to print: nulls, nothing, headers of each kind, every control character, bytes that are no text.
const RECORDS: &str = r#"
{"ts":1700000000001,"key":"k","payload":"v"}
{"ts":1700000000002,"key":"deleted","payload":null}
{"ts":1700000000003,"key":null,"payload":null}
{"ts":1700000000004,"key":null,"payload":"v%s\\n","headers":[]}
{"ts":1700000000005,"key":"h","payload":"x","headers":["a","1","b",null,"a","2","e","","ž","→","","nameless"]}
{"ts":1700000000006,"key":"ctl","payload":"\u0000\u0001\u0008\t\n\u000b\f\r\u001b\u001f\"\\/\u007f\u0085\u2028😀","headers":["\"","\u0002"]}
"#;

/// Empty ones, which with `-Z` are NULL in kcat.
const EMPTY: &str = r#"{"ts":0,"key":"","payload":""}"#;

/// No text, which kcat writes raw into its JSON.
const BINARY: &str = r#"{"ts":7,"key":{"base64":"/w=="},"payload":{"base64":"AGJpbv8A/gA="},"headers":["h",{"base64":"//4="}]}"#;

/// Formats with each token and each kind of escape.
const FORMATS: [&str; 12] = [
    r"Topic %t [%p] at offset %o: key %k: %s\n",
    r"%s|%S|%k|%K|%T|%h|%t|%p|%o\n",
    r"%R%s",
    r"%K %k%S %s",
    r"%%%%s%%%s%%\n",
    r"%t\%p\\%o\t\r\n",
    r"\x41\x7a\x1|\0101\10\033|\x0a",
    "→ %s — %k\n",
    r"%s%s%s\n",
    "nothing of the record",
    "%h",
    "",
];

fn kcat(bootstrap: &str, topic: &str, options: &[&str]) -> Finished {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q"]).args(options);
    process::run(&mut kcat, b"", Duration::from_secs(60))
}

/// A topic, as both tools see it.
struct Beside {
    bootstrap: String,
    topic: String,
}

impl Beside {
    /// With these records in a new topic of one partition.
    fn new(bootstrap: &str, topic: String, records: &[&str]) -> Beside {
        Beside::with(bootstrap, topic, "", records)
    }

    /// The same with a setting of the topic. Old records would be deleted soon if they were not kept for ever.
    fn with(bootstrap: &str, topic: String, config: &str, records: &[&str]) -> Beside {
        let tool = Tool::bare();
        tool.run(&format!("topics create {topic} -b {bootstrap} -p 1 -c retention.ms=-1 {config}"), "")
            .success();
        let to = format!("produce {topic} -b {bootstrap} -J -p 0 --keep timestamp");
        let lines: Vec<&str> =
            records.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty()).collect();
        tool.run(&to, lines.join("\n")).success();
        Beside { bootstrap: bootstrap.to_owned(), topic }
    }

    fn ours(&self, options: &[&str]) -> Finished {
        let consume = format!("consume {} -b {} -p 0 -e -q", self.topic, self.bootstrap);
        process::run(Tool::bare().command(&consume).args(options), b"", Duration::from_secs(60))
    }

    fn kcats(&self, options: &[&str]) -> Finished {
        kcat(&self.bootstrap, &self.topic, options)
    }

    /// The same output from both, which is given.
    #[track_caller]
    fn same(&self, options: &[&str]) -> Vec<u8> {
        let (ours, kcats) = (self.ours(options).success(), self.kcats(options).success());
        assert_eq!(ours.text(), kcats.text(), "{options:?}");
        assert_eq!(ours.stdout, kcats.stdout, "{options:?}");
        ours.stdout
    }

    #[track_caller]
    fn all_the_same(&self) {
        for format in FORMATS {
            self.same(&["-f", format]);
            self.same(&["-f", format, "-Z"]);
        }
        for options in [
            ["-D", r"\r\n"].as_slice(),
            &["-D", ""],
            &["-D", "::", "-K", r"\t"],
            &["-K", ""],
            &["-K", r"\x1e", "-Z"],
            &["-f", "%o;", "-K", ":", "-D", "|"],
            &["-f", "%o;", "-c", "3"],
            &["-f", "%o;", "-u"],
            &["-f", "%o;", "-o", "-2"],
            &["-f", "%o;", "-o", "s@1700000000003"],
            &["-J"],
            &["-J", "-Z"],
            &["-J", "-u", "-c", "2"],
            &["-J", "-D", r"\n\n"],
            &["-J", "-D", ""],
        ] {
            self.same(options);
        }
        assert_eq!(self.same(&["-f", "%o;"]), b"0;1;2;3;4;5;", "they were there all the time");
    }
}

#[test]
fn beside_kcat_on_the_embedded_broker() {
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    Beside::new(&shared().bootstrap_servers(), topic(), &[RECORDS]).all_the_same();
}

#[test]
fn beside_kcat_on_a_real_kafka() {
    let kafka = real_kafka!();
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let beside = Beside::new(kafka.plaintext(), unique("format"), &[RECORDS]);
    beside.all_the_same();
    let printed = beside.same(&["-J"]);
    let first = String::from_utf8(printed).unwrap().lines().next().unwrap().to_owned();
    let topic = &beside.topic;
    assert_eq!(
        first,
        format!(
            r#"{{"topic":"{topic}","partition":0,"offset":0,"tstype":"create","ts":1700000000001,"broker":1,"key":"k","payload":"v"}}"#
        )
    );
}

#[test]
fn the_broker_is_the_one_that_leads_the_partition() {
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let cluster = runtime.block_on(Cluster::builder().start()).unwrap();
    for leader in [2, 3] {
        let topic = topic();
        cluster.create_topic_as(&TopicSpec::new(topic.as_str()).placed([[leader]])).unwrap();
        let bootstrap = cluster.bootstrap_servers();
        let line = r#"{"ts":5,"key":"k","payload":"v"}"#;
        Tool::bare().run(&format!("produce {topic} -b {bootstrap} -J"), line).success();
        let printed = Beside { bootstrap, topic }.same(&["-J"]);
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains(&format!(r#","broker":{leader},"key":"k""#)), "{printed}");
    }
}

#[test]
fn a_time_that_the_broker_gave_is_told_as_in_kcat() {
    let kafka = real_kafka!();
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let topic = unique("append-time");
    let config = "-c message.timestamp.type=LogAppendTime";
    let beside = Beside::with(kafka.plaintext(), topic, config, &[RECORDS]);
    let printed = String::from_utf8(beside.same(&["-J"])).unwrap();
    assert_eq!(printed.matches(r#""tstype":"logappend","ts":"#).count(), 6, "{printed}");
    beside.same(&["-f", r"%T\n"]);
}

#[test]
fn binary_records_are_the_same_but_in_json() {
    let kafka = real_kafka!();
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    for (bootstrap, topic) in
        [(kafka.plaintext().to_owned(), unique("binary")), (shared().bootstrap_servers(), topic())]
    {
        let beside = Beside::new(&bootstrap, topic, &[EMPTY, BINARY]);
        for options in [["-f", "%R%s%K %k|%h"].as_slice(), &["-f", r"%s\n"], &["-K", "\t"], &["-D", ""]] {
            beside.same(options);
        }
        let framed = beside.same(&["-f", "%R%s", "-o", "1"]);
        assert_eq!(framed, b"\0\0\0\x08\0bin\xff\0\xfe\0");

        let (ours, kcats) = (beside.ours(&["-J", "-o", "1"]), beside.kcats(&["-J", "-o", "1"]));
        let raw = b"\"headers\":[\"h\",\"\xff\xfe\"],\"key\":\"\xff\",\"payload\":\"\\u0000bin\xff\\u0000\xfe\\u0000\"}\n";
        assert!(kcats.stdout.ends_with(raw), "{:?}", kcats.text());
        let told = r#""headers":["h",{"base64":"//4="}],"key":{"base64":"/w=="},"payload":{"base64":"AGJpbv8A/gA="}}"#;
        assert!(ours.text().ends_with(&format!("{told}\n")), "{}", ours.text());

        let again = Tool::bare().run(&format!("produce other -J -q -b {bootstrap}"), &kcats.stdout);
        assert_eq!(again.code, Some(1));
        assert!(
            again.stderr.contains("is no UTF-8. kcat -J leaves such bytes as they are"),
            "{}",
            again.stderr
        );
    }
}

#[test]
fn where_it_is_not_as_kcat() {
    if !installed("kcat") {
        return crate::real::skip("kcat is not installed");
    }
    let odd = r#"{"ts":1,"key":"","payload":"","headers":["h","a\u0000b"]}"#;
    let beside = Beside::new(&shared().bootstrap_servers(), topic(), &[odd]);
    // An empty value is not null, and its length says so in both.
    let nulls = ["-Z", "-f", "%k %K %s %S"];
    assert_eq!(
        (beside.ours(&nulls).text(), beside.kcats(&nulls).text()),
        (" 0  0".into(), "NULL 0 NULL 0".into())
    );
    // Bytes behind a zero byte are bytes too.
    assert_eq!(
        (beside.ours(&["-f", "%h"]).stdout, beside.kcats(&["-f", "%h"]).stdout),
        (b"h=a\0b".into(), b"h=a".into())
    );
    for zero in [r"\0", r"\x00"] {
        assert_eq!(beside.ours(&["-f", zero]).success().stdout, b"\0");
        assert!(beside.kcats(&["-f", zero]).stderr.contains("Write error"));
        assert_eq!(
            (beside.ours(&["-D", zero]).stdout, beside.kcats(&["-D", zero]).stdout),
            (b"\0".into(), b"".into())
        );
    }
    // kcat takes letters for digits in one place, not in another, and as many as there are.
    for (format, ours, kcats) in
        [(r"\xff", b"\xff".as_slice(), b"ff".as_slice()), (r"\x0abc", b"\nbc", b"\xbc")]
    {
        assert_eq!(
            (beside.ours(&["-f", format]).stdout, beside.kcats(&["-f", format]).stdout),
            (ours.into(), kcats.into())
        );
    }
    // A percent sign in a delimiter is no token.
    assert_eq!(beside.ours(&["-D", "%s"]).stdout, b"%s");
    assert_eq!(beside.kcats(&["-D", "%o"]).stdout, b"0");
}

#[test]
fn a_format_that_is_none_is_a_usage_error_with_the_tokens() {
    let tool = Tool::new();
    for (format, told) in [
        ("%q", "%q is no token: %s value, %S"),
        ("%", "a % at the end is no token"),
        (r"\q", "known escapes"),
    ] {
        let run = process::run(tool.command("consume topic -e -f").arg(format), b"", Duration::from_secs(60));
        assert_eq!(run.code, Some(2), "{format}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{format}: {}", run.stderr);
    }
    for contradiction in ["-J -f %s", "-J -K :"] {
        let run = tool.run(&format!("consume topic -e {contradiction}"), "");
        assert_eq!(run.code, Some(2), "{contradiction}: {}", run.stderr);
    }
    let help = tool.run("consume --help", "").success().text();
    for token in ["%s value", "%S", "%R", "%k key", "%K", "%T", "%h", "%t topic", "%p", "%o", "%%", r"\xNN"] {
        assert!(help.contains(token), "{token}: {help}");
    }
}
