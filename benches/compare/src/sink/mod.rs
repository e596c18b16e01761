//! A broker that answers and keeps nothing: what is measured beside it is the client alone.

mod answer;
pub mod tls;

use answer::Answers;
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The topic, of six partitions.
pub const TOPIC: &str = "compare";
/// The topic of one partition.
pub const TOPIC_ONE: &str = "compare-one";

/// Answers of a connection that wait for their time.
const DELAYED: usize = 1_000;

pub fn main(options: &[&str]) {
    let (mut latency, mut certificates) = (Duration::ZERO, None);
    for pair in options.chunks(2) {
        match *pair {
            ["--latency", time] => latency = milliseconds(time),
            ["--tls", folder] => certificates = Some(folder),
            _ => panic!("compare sink [--latency 20ms] [--tls DIR]"),
        }
    }
    die_with_parent();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = certificates.map(tls::acceptor);
        println!("127.0.0.1:{port}");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => serve(stream, port, latency).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => serve(stream, port, latency).await,
                        Err(error) => eprintln!("sink: no TLS with a client: {error}"),
                    },
                }
            });
        }
    });
}

/// Nobody is left behind by a `run` that was killed.
pub fn die_with_parent() {
    let signal = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(signal).expect("Linux");
}

fn milliseconds(time: &str) -> Duration {
    let number = time.strip_suffix("ms").and_then(|number| number.parse().ok());
    Duration::from_millis(number.unwrap_or_else(|| panic!("'{time}' is not like 20ms")))
}

/// Ends with the connection.
async fn serve(stream: impl AsyncRead + AsyncWrite, port: u16, latency: Duration) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let mut answers = Answers::new(port);
    if latency.is_zero() {
        while let Some(frame) = read(&mut reader).await {
            if let Some(answer) = answers.answer(&frame)
                && writer.write_all(&answer).await.is_err()
            {
                return;
            }
        }
        return;
    }
    // Each answer leaves so long after its request came in, whatever is on its way before or behind it.
    let (later, mut due) = mpsc::channel::<(Instant, Bytes)>(DELAYED);
    let write = async {
        while let Some((when, answer)) = due.recv().await {
            tokio::time::sleep_until(when).await;
            if writer.write_all(&answer).await.is_err() {
                return;
            }
        }
    };
    let read = async move {
        while let Some(frame) = read(&mut reader).await {
            let when = Instant::now() + latency;
            if let Some(answer) = answers.answer(&frame)
                && later.send((when, answer)).await.is_err()
            {
                return;
            }
        }
    };
    tokio::join!(write, read);
}

async fn read(reader: &mut (impl AsyncRead + Unpin)) -> Option<Bytes> {
    let length = reader.read_i32().await.ok()?;
    let mut frame = BytesMut::zeroed(usize::try_from(length).expect("a length"));
    reader.read_exact(&mut frame).await.ok()?;
    Some(frame.freeze())
}
