use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::Security;
use super::*;

/// Any name has these addresses, whatever the port asked for.
#[derive(Debug)]
struct Fixed(Vec<SocketAddr>);

impl Resolve for Fixed {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

fn dial_to(addresses: Vec<SocketAddr>, options: SocketOptions) -> TcpDial {
    TcpDial::new(options).with_resolver(Arc::new(Fixed(addresses)))
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint::new("kafka.test", port, Security::Plaintext)
}

fn soon() -> Instant {
    task::now() + Duration::from_secs(5)
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port of this machine on which nothing listens.
async fn dead() -> SocketAddr {
    listener().await.1
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let (listener, address) = listener().await;
    let (endpoint, dial) = (endpoint(9092), dial_to(vec![address], SocketOptions::default()));
    let (connected, accepted) = tokio::join!(dial.dial(&endpoint, soon()), listener.accept());
    let (mut client, mut server) = (connected.unwrap().stream, accepted.unwrap().0);
    client.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    server.read_exact(&mut four).await.unwrap();
    server.write_all(b"pong").await.unwrap();
    client.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"pong");
}

#[tokio::test]
async fn one_live_address_among_dead_ones_is_found() {
    let (_listener, alive) = listener().await;
    let v6_dead = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], dead().await.port()));
    let addresses = vec![dead().await, alive, v6_dead, dead().await];
    for _ in 0..8 {
        let dial = dial_to(addresses.clone(), SocketOptions::default());
        assert_eq!(dial.dial(&endpoint(9092), soon()).await.unwrap().peer, alive.to_string());
    }
}

#[tokio::test]
async fn a_dead_port_names_host_address_answer_and_advice() {
    let address = dead().await;
    let dial = dial_to(vec![address], SocketOptions::default());
    let error = dial.dial(&endpoint(9092), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.is_retriable());
    let text = error.to_string();
    assert!(text.starts_with("connect, broker kafka.test:9092: no connection: "), "{text}");
    assert!(text.contains(&format!("{address}: Connection refused")), "{text}");
    assert!(text.ends_with("nothing listens there: is the broker up, and the port right?"), "{text}");
}

#[tokio::test]
async fn only_the_wanted_family_is_tried() {
    let (_listener, address) = listener().await;
    let options = SocketOptions { family: AddressFamily::V6, ..SocketOptions::default() };
    let error = dial_to(vec![address], options).dial(&endpoint(9092), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert!(error.to_string().contains("broker.address.family"), "{error}");
}

#[tokio::test]
async fn names_are_resolved_at_each_connect() {
    #[derive(Debug)]
    struct Counting(std::sync::atomic::AtomicU32, SocketAddr);
    impl Resolve for Counting {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async { Ok(vec![self.1]) })
        }
    }
    let (_listener, address) = listener().await;
    let resolver = Arc::new(Counting(0.into(), address));
    let dial = TcpDial::new(SocketOptions::default()).with_resolver(resolver.clone());
    for _ in 0..3 {
        dial.dial(&endpoint(9092), soon()).await.unwrap();
    }
    assert_eq!(resolver.0.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[tokio::test]
async fn the_system_resolves_addresses_and_localhost() {
    for host in ["127.0.0.1", "::1", "localhost"] {
        let found = SystemResolver.resolve(host, 9092).await.unwrap();
        assert!(
            found.iter().all(|address| address.ip().is_loopback() && address.port() == 9092),
            "{found:?}"
        );
        assert!(!found.is_empty());
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_resolve_error() {
    let endpoint = Endpoint::new("no-such-host.invalid", 9092, Security::Plaintext);
    let error = TcpDial::new(SocketOptions::default()).dial(&endpoint, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Resolve);
    assert!(error.to_string().contains("no-such-host.invalid:9092"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_ends_at_the_deadline() {
    #[derive(Debug)]
    struct Hanging;
    impl Resolve for Hanging {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let dial = TcpDial::new(SocketOptions::default()).with_resolver(Arc::new(Hanging));
    let (start, deadline) = (task::now(), soon());
    let error = dial.dial(&endpoint(9092), deadline).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(task::now() - start < Duration::from_millis(5_010));
}

#[tokio::test]
async fn sockets_are_set_up() {
    let (_listener, address) = listener().await;
    let options = SocketOptions {
        send_buffer_bytes: Some(40_000),
        receive_buffer_bytes: Some(50_000),
        ..SocketOptions::default()
    };
    let stream = connect(address, options).await.unwrap();
    let socket = SockRef::from(&stream);
    assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEP_ALIVE_AFTER);
    // Linux doubles what it is asked for, for its own book-keeping.
    assert!((40_000..=80_000).contains(&socket.send_buffer_size().unwrap()));
    assert!((50_000..=100_000).contains(&socket.recv_buffer_size().unwrap()));
}
