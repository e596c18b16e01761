//! What goes wrong, and what a person is told then: exit code, one line, in bounded time.

use crate::tool::{Tool, topic};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

#[test]
fn the_command_line_and_the_settings_are_checked_before_anything_is_tried() {
    let tool = Tool::bare();
    for (arguments, told) in [
        ("", "Usage"),
        ("consum x", "consum"),
        ("topics --unknown", "--unknown"),
        ("topics", "bootstrap.servers is not set"),
        ("topics -X linger.mss=5", "did you mean 'linger.ms'?"),
        ("topics -X linger", "KEY=VALUE is expected"),
        ("topics -b localhost:0", "localhost:0"),
        ("topics -F missing.properties", "missing.properties"),
        ("produce x -X acks=7 -b localhost:9", "acks=7"),
        ("produce x -H =v -b localhost:9", "a header needs a name"),
        (r"produce x -D \q", "known escapes"),
        ("consume x -X sasl.password=marker -X sasl.mechanism=NOPE", "NOPE"),
    ] {
        let run = tool.run(arguments, "");
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments}: {}", run.stderr);
        assert!(!run.stderr.contains("marker"), "{arguments}: {}", run.stderr);
        assert_eq!(run.text(), "", "{arguments}");
    }
    for arguments in ["--help", "--version", "produce --help", "help consume"] {
        let run = tool.run(arguments, "").success();
        assert!(run.text().contains("ottla") && run.stderr.is_empty(), "{arguments}");
    }
}

#[test]
fn settings_come_from_the_command_line_the_environment_dotenv_and_a_file_in_this_order() {
    let tool = Tool::bare();
    let unknown = |place: &str| format!("{place}.invalid:9");
    let asked = |command: &mut std::process::Command| {
        let run = crate::real::process::run(command, b"", Duration::from_secs(60));
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr
    };
    fs::write(tool.folder().join("file"), format!("bootstrap.servers={}\n", unknown("file"))).unwrap();
    let mut command = tool.command("topics -F file -X socket.connection.setup.timeout.ms=500");
    assert!(asked(&mut command).contains("file.invalid"));
    fs::write(tool.folder().join(".env"), format!("KAFKA_BOOTSTRAP_SERVERS={}\n", unknown("dotenv")))
        .unwrap();
    let told = asked(&mut command);
    assert!(told.contains("dotenv.invalid"), "{told}");
    command.env("KAFKA_BOOTSTRAP_SERVERS", unknown("environment"));
    assert!(asked(&mut command).contains("environment.invalid"));
    command.arg("-b").arg(unknown("option"));
    assert!(asked(&mut command).contains("option.invalid"));
}

#[test]
fn a_file_that_is_overridden_is_remarked_on_by_names_alone() {
    let tool = Tool::new();
    fs::write(tool.folder().join("file"), "linger.ms=1\nacks=all\nssl.key.password=marker\nclient.id=me\n")
        .unwrap();
    fs::write(tool.folder().join(".env"), "KAFKA_LINGER_MS=2\nKAFKA_ACKS=all\n").unwrap();
    let run = |more: &str| {
        let mut command = tool.command(&format!("topics -F file {more}"));
        command.env("KAFKA_SSL_KEY_PASSWORD", "marker too");
        crate::real::process::run(&mut command, b"", Duration::from_secs(60)).success().stderr
    };
    let told = run("");
    assert_eq!(
        told,
        "ottla: the environment or a .env file goes before file in: ssl.key.password, linger.ms\n"
    );
    assert_eq!(run("-q"), "");
    let told = run("-X linger.ms=3");
    assert!(told.ends_with(" in: ssl.key.password\n"), "{told}");
}

#[test]
fn a_port_where_nobody_listens() {
    let tool = Tool::bare();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let soon = "-X socket.connection.setup.timeout.ms=500";
    let commands =
        ["topics".to_owned(), format!("consume {} {soon}", topic()), format!("produce {} {soon}", topic())];
    for command in commands {
        let run = tool.run(&format!("{command} -b {address}"), "one\n");
        assert_eq!(run.code, Some(1));
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(
            run.stderr.starts_with("ottla: ") && run.stderr.contains(&address.to_string()),
            "{}",
            run.stderr
        );
        assert!(run.stderr.to_lowercase().contains("refused"), "{}", run.stderr);
        assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    }
}

#[test]
fn a_server_of_another_kind_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let run = Tool::bare().run(&format!("topics -b {address}"), "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("HTTP"), "{}", run.stderr);
}

#[test]
fn a_password_is_never_shown() {
    let (right, wrong) = ("m4rk3r-p4ssw0rd", "m4rk3r-wr0ng");
    let tool = Tool::bare();
    let broker = tool.start(&format!("broker --listen 127.0.0.1:0 --sasl alice:{right} -q"));
    let server = broker.line();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        for (password, code) in [(right, 0), (wrong, 1)] {
            let mut command = tool.command(&format!("topics -vvv -X {server} -X sasl.mechanism={mechanism}"));
            command.env("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT").env("KAFKA_SASL_USERNAME", "alice");
            command.env("KAFKA_SASL_PASSWORD", password).env("RUST_LOG", "trace");
            let run = crate::real::process::run(&mut command, b"", Duration::from_secs(60));
            assert_eq!(run.code, Some(code), "{}", run.stderr);
            assert!(
                run.stderr.contains("sasl.password = ***"),
                "the settings are not logged: {}",
                run.stderr
            );
            assert!(!run.stderr.contains("m4rk3r") && !run.text().contains("m4rk3r"), "{}", run.stderr);
        }
    }
}

#[test]
fn a_slip_of_the_pen_does_not_show_a_password_either() {
    let tool = Tool::bare();
    for arguments in [
        "topics -X sasl.password:m4rk3r",
        "topics -X sasl.password:m4rk3r==",
        "topics -X m4rk3r",
        "broker --sasl :m4rk3r",
        "broker --sasl m4rk3r",
    ] {
        let run = tool.run(arguments, "");
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains(" is expected") && !run.stderr.contains("m4rk3r"), "{}", run.stderr);
    }
}
