use std::io::IoSlice;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::dial::{Security, Stream};
use super::*;

const HOST: &str = "broker";
const PORT: u16 = 9092;

fn endpoint() -> Endpoint {
    Endpoint::new(HOST, PORT, Security::Plaintext)
}

fn soon() -> Instant {
    task::now() + Duration::from_secs(10)
}

fn to_server(way: Way) -> Faults {
    Faults { to_server: way, ..Faults::default() }
}

async fn pair(net: &MemNet) -> (Box<dyn Stream>, MemStream) {
    let listener = net.listen(HOST, PORT).unwrap();
    let (endpoint, dialer) = (endpoint(), net.dialer());
    let (client, server) = tokio::join!(dialer.dial(&endpoint, soon()), listener.accept());
    (client.unwrap().stream, server.0)
}

fn elapsed(since: Instant) -> Duration {
    task::now() - since
}

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_and_end() {
    let net = MemNet::new(1);
    let (mut client, mut server) = pair(&net).await;
    client.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    server.read_exact(&mut four).await.unwrap();
    server.write_all(b"pong").await.unwrap();
    drop(server);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!((&four, rest.as_slice()), (b"ping", &b"pong"[..]));
    let error = client.write_all(b"?").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(net.connections_made(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_a_refusal_and_a_dropped_listener_too() {
    let net = MemNet::new(1);
    let refusal = |error: Error| assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    refusal(net.dialer().dial(&endpoint(), soon()).await.unwrap_err());
    let listener = net.listen(HOST, PORT).unwrap();
    assert_eq!(net.listen(HOST, PORT).unwrap_err().kind(), ErrorKind::Connect);
    net.set_faults(HOST, PORT, Faults { refuse: true, ..Faults::default() });
    refusal(net.dialer().dial(&endpoint(), soon()).await.unwrap_err());
    net.set_faults(HOST, PORT, Faults::default());
    net.dialer().dial(&endpoint(), soon()).await.unwrap();
    drop(listener);
    refusal(net.dialer().dial(&endpoint(), soon()).await.unwrap_err());
    net.listen(HOST, PORT).unwrap();
    assert_eq!(net.attempts(HOST, PORT), [task::now(); 4], "those in vain too");
    assert_eq!(net.connections_made(), 1);
}

#[tokio::test(start_paused = true)]
async fn port_0_is_given_out() {
    let net = MemNet::new(1);
    let (a, b) = (net.listen(HOST, 0).unwrap(), net.listen(HOST, 0).unwrap());
    assert!(a.port() != b.port() && a.port() >= FIRST_FREE_PORT);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_connect_ends_at_the_deadline() {
    let net = MemNet::new(1);
    let _listener = net.listen(HOST, PORT).unwrap();
    net.set_faults(HOST, PORT, Faults { hang: true, ..Faults::default() });
    let start = task::now();
    let error = net.dialer().dial(&endpoint(), soon()).await.unwrap_err();
    assert_eq!((error.kind(), elapsed(start).as_secs()), (ErrorKind::Timeout, 10));
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_makes_connects_wait() {
    let net = MemNet::new(1);
    let _listener = net.listen(HOST, PORT).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..BACKLOG {
        waiting.push(net.dialer().dial(&endpoint(), soon()).await.unwrap());
    }
    let error = net.dialer().dial(&endpoint(), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn buffers_are_bounded() {
    let net = MemNet::new(1);
    let (mut client, mut server) = pair(&net).await;
    let big = vec![7; 1024 * 1024];
    assert!(task::until(soon(), client.write_all(&big)).await.is_none(), "a megabyte fits into no buffer");
    let mut received = vec![0; 128 * 1024];
    server.read_exact(&mut received).await.unwrap();
    // A task of its own: nothing but the reader's taking wakes it.
    let writer = task::spawn(async move { client.write_all(&big[..256 * 1024]).await });
    let mut rest = vec![0; 256 * 1024];
    let read = task::until(soon(), server.read_exact(&mut rest)).await;
    assert!(read.is_some(), "a reader makes room for a waiting writer");
    writer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn latency_delays_each_way_and_keeps_the_order() {
    let net = MemNet::new(1);
    let way = Way { latency: Duration::from_millis(40), jitter: Duration::from_millis(20), ..Way::default() };
    net.set_faults(HOST, PORT, to_server(way));
    let (mut client, mut server) = pair(&net).await;
    let start = task::now();
    for byte in 0..50_u8 {
        client.write_all(&[byte]).await.unwrap();
    }
    client.shutdown().await.unwrap();
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, (0..50).collect::<Vec<_>>());
    assert!((40..=61).contains(&elapsed(start).as_millis()), "{:?}", elapsed(start));
    server.write_all(b"x").await.unwrap();
    let answered = task::now();
    client.read_u8().await.unwrap();
    assert_eq!(elapsed(answered), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn short_reads_and_writes_lose_nothing() {
    let net = MemNet::new(3);
    let short = Way { max_read: Some(1), max_write: Some(5), ..Way::default() };
    net.set_faults(HOST, PORT, to_server(short));
    let (mut client, mut server) = pair(&net).await;
    let sent: Vec<u8> = (0..=255).cycle().take(3_000).collect();
    let slices = [IoSlice::new(&sent[..100]), IoSlice::new(&sent[100..])];
    let taken = client.write_vectored(&slices).await.unwrap();
    assert!((1..=5).contains(&taken), "{taken}");
    client.write_all(&sent[taken..]).await.unwrap();
    drop(client);
    let mut received = Vec::new();
    let mut chunk = [0; 64];
    loop {
        let bytes = server.read(&mut chunk).await.unwrap();
        if bytes == 0 {
            break;
        }
        assert_eq!(bytes, 1);
        received.extend_from_slice(&chunk[..bytes]);
    }
    assert_eq!(received, sent);
}

#[tokio::test(start_paused = true)]
async fn a_vectored_write_takes_all_slices_at_once() {
    let (mut client, mut server) = pair(&MemNet::new(1)).await;
    assert!(client.is_write_vectored());
    let taken =
        client.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")]).await.unwrap();
    assert_eq!(taken, 4);
    let mut four = [0; 4];
    server.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"abcd");
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_n_bytes_lets_n_bytes_through() {
    for n in [0, 1, 5] {
        let net = MemNet::new(1);
        net.set_faults(HOST, PORT, to_server(Way { cut_after: Some(n), ..Way::default() }));
        let (mut client, mut server) = pair(&net).await;
        let error = client.write_all(b"0123456789").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut received = Vec::new();
        let error = server.read_to_end(&mut received).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(received.len() as u64, n);
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(server.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn held_bytes_arrive_when_let_go() {
    let net = MemNet::new(1);
    let (mut client, mut server) = pair(&net).await;
    net.set_faults(HOST, PORT, to_server(Way { hold: true, ..Way::default() }));
    client.write_all(b"x").await.unwrap();
    assert!(task::until(soon(), server.read_u8()).await.is_none());
    let (start, release) = (task::now(), net.clone());
    let _release = task::spawn(async move {
        task::sleep_until(soon()).await;
        release.set_faults(HOST, PORT, Faults::default());
    });
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    assert_eq!(elapsed(start).as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn cutting_an_address_resets_its_connections() {
    let net = MemNet::new(1);
    let (mut client, mut server) = pair(&net).await;
    client.write_all(b"lost").await.unwrap();
    net.cut(HOST, PORT);
    assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_cut_connection_is_held_like_its_bytes_and_heard_when_let_go() {
    let net = MemNet::new(1);
    let (_client, mut server) = pair(&net).await;
    net.set_faults(HOST, PORT, to_server(Way { hold: true, ..Way::default() }));
    let waiting = task::spawn(async move { server.read_u8().await });
    task::sleep_until(soon()).await;
    net.cut(HOST, PORT);
    task::sleep_until(soon()).await;
    assert!(!waiting.is_finished());
    net.set_faults(HOST, PORT, Faults::default());
    let heard = task::until(soon(), waiting).await.expect("it hears of it").unwrap();
    assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// The same seed makes the same run: which writes are short, and when bytes arrive.
#[tokio::test(start_paused = true)]
async fn a_seed_repeats_a_run() {
    async fn run(seed: u64) -> (Vec<usize>, Duration) {
        let net = MemNet::new(seed);
        let way = Way { max_write: Some(50), jitter: Duration::from_millis(30), ..Way::default() };
        net.set_faults(HOST, PORT, to_server(way));
        let (mut client, mut server) = pair(&net).await;
        let start = task::now();
        let mut taken = Vec::new();
        for _ in 0..20 {
            taken.push(client.write_vectored(&[IoSlice::new(&[0; 100])]).await.unwrap());
        }
        drop(client);
        server.read_to_end(&mut Vec::new()).await.unwrap();
        (taken, elapsed(start))
    }
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await.0, run(2).await.0);
}
