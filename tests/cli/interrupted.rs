//! `ottla produce`, interrupted: what was read is sent, within a time of grace, and what was not is counted.

use crate::tool::{Tool, shared, topic};
use std::time::{Duration, Instant};

#[test]
fn an_interruption_is_heard_while_records_wait_for_room() {
    let (tool, lines) = (Tool::bare(), "a line of forty bytes, give or take one\n".repeat(1000));
    let mut broker = tool.start("broker --listen 127.0.0.1:0 -q");
    let server = broker.line();
    for again in [false, true] {
        let topic = topic();
        let options = "--report -X buffer.memory=20000 -X batch.size=1000";
        let mut running = tool.start(&format!("produce {topic} -X {server} {options}"));
        running.input("first\n");
        running.line();
        broker.signal("STOP");
        running.input(&lines);
        std::thread::sleep(Duration::from_millis(500));
        running.signal("INT");
        assert!(running.complaint().contains("interrupt once more"), "it says something else");
        if again {
            running.signal("INT");
            assert_eq!(running.end(), Some(130));
        }
        broker.signal("CONT");
        assert_eq!(running.end(), Some(130));
        let read = tool.lines(&format!("consume {topic} -X {server} -e"), "").len();
        assert!(read > 1 || again, "what was read is sent: {read}");
    }
    broker.signal("INT");
    assert_eq!(broker.end(), Some(0));
}

#[test]
fn an_interruption_sends_what_was_read() {
    let (tool, topic) = (Tool::new(), topic());
    // Nothing leaves by itself: a minute of linger.
    let mut running =
        tool.start(&format!("produce {topic} -X linger.ms=60000 -X delivery.timeout.ms=120000"));
    running.input("one\ntwo\nno end of line");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !shared().topics().contains(&topic) {
        assert!(Instant::now() < deadline, "the topic does not appear");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The topic is looked up for the first record; the others follow within the same piece of input.
    std::thread::sleep(Duration::from_millis(200));
    running.signal("INT");
    assert_eq!(running.end(), Some(130));
    let told: Vec<String> = (0..3).map(|_| running.complaint()).collect();
    assert_eq!(told[2], "ottla: interrupted: all that was read is delivered", "{told:?}");
    assert_eq!(tool.values(&topic), ["one", "two"]);
}

#[test]
fn an_interruption_waits_no_longer_than_its_grace_and_counts_what_is_lost() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (tool, topic) = (Tool::bare(), topic());
        let broker = tool.start("broker --listen 127.0.0.1:0 -q");
        let server = broker.line();
        let mut running = tool.start(&format!("produce {topic} -X {server} --report --grace 1"));
        running.input("first\n");
        running.line();
        broker.signal("STOP");
        running.input("second\nthird\n");
        std::thread::sleep(Duration::from_millis(300));
        let interrupted = Instant::now();
        running.signal(signal);
        assert!(running.complaint().contains("interrupt once more"));
        assert_eq!(running.end(), Some(code));
        let took = interrupted.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
        for line in [2, 3] {
            let told = running.complaint();
            assert!(told.starts_with(&format!("ottla: line {line}: ")), "{told}");
            assert!(told.contains(&format!("topic '{topic}'")), "{told}");
        }
        let summary = running.complaint();
        assert!(
            summary.starts_with("ottla: 1 record acknowledged") && summary.ends_with("; 2 failed"),
            "{summary}"
        );
        assert_eq!(running.complaint(), "ottla: interrupted: 2 of 3 records were not delivered");
        broker.signal("CONT");
    }
}

#[test]
fn lines_that_were_read_and_had_no_room_are_counted_as_well() {
    let (tool, topic) = (Tool::bare(), topic());
    let broker = tool.start("broker --listen 127.0.0.1:0 -q");
    let server = broker.line();
    let options = "--report --grace 1 -X buffer.memory=20000 -X batch.size=1000";
    let mut running = tool.start(&format!("produce {topic} -X {server} {options}"));
    running.input("first\n");
    running.line();
    broker.signal("STOP");
    running.input(&"a line of forty bytes, give or take one\n".repeat(1000));
    std::thread::sleep(Duration::from_millis(500));
    running.signal("INT");
    assert_eq!(running.end(), Some(130));
    let mut told = running.complaint();
    while !told.contains("interrupted: ") {
        told = running.complaint();
    }
    assert_eq!(told, "ottla: interrupted: 1000 of 1001 records were not delivered");
    broker.signal("CONT");
}
