//! A proxy that spoils the way between a client and a broker: latency, bandwidth, blackhole, reset, cut after n bytes, flipped
//! bits, slow drip; and, where the bytes are Kafka's own, requests and answers that are lost.
//!
//! [`Road`] is the way, [`Weather`] what it is like just now, [`Fate`] what becomes of a request on it. [`Road::dial`] is a
//! dialler for [`ClientBuilder::dial`](ottla::ClientBuilder::dial): whatever broker the client wants, it is led to it over
//! the road, so that no address has to be rewritten. [`Road::to`] is a listener for one broker, for clients that take no
//! dialler and brokers that can be told to advertise it.
//!
//! A test binary takes it in with `#[path = "../support/proxy/mod.rs"] mod proxy;`.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its own part")]

mod frames;
mod pipe;
mod roads;

pub use frames::{Fate, Passing};
pub use roads::Roads;

use frames::Requests;
use ottla::messages::ApiKey;
use ottla::net::dial::{BoxFuture, Connected, Dial, Endpoint, SocketOptions, TcpDial};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// What a road is like. Both ways, but for what says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weather {
    /// Bytes arrive this much later.
    pub latency: Duration,
    /// Bytes a second towards the broker, and towards the client.
    pub bandwidth: [Option<u32>; 2],
    /// Bytes are taken and never arrive, until the weather changes: then they do.
    pub blackhole: bool,
    /// So many bytes at a time towards the client, with this pause between.
    pub drip: Option<(usize, Duration)>,
    /// A connection ends when so many bytes have gone towards the client on it.
    pub cut_after: Option<u64>,
    /// Every so many bytes towards the client a bit is flipped.
    pub flip_every: Option<u64>,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// A way to brokers; clones are the same.
#[derive(Debug, Clone)]
pub struct Road(Arc<Shared>);

struct Shared {
    weather: watch::Sender<Weather>,
    resets: watch::Sender<u32>,
    requests: Mutex<Requests>,
    /// By broker: the listener that leads to it.
    gates: tokio::sync::Mutex<HashMap<String, u16>>,
    connections: Mutex<Vec<Instant>>,
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    /// Bytes that have arrived, by way.
    carried: [AtomicU64; 2],
}

impl Road {
    /// A road in fine weather.
    pub fn new() -> Road {
        Road(Arc::new(Shared {
            weather: watch::Sender::default(),
            resets: watch::Sender::default(),
            requests: Mutex::default(),
            gates: tokio::sync::Mutex::default(),
            connections: Mutex::default(),
            tasks: Mutex::default(),
            carried: Default::default(),
        }))
    }

    /// Changes the weather, for connections that are there as well.
    pub fn weather(&self, change: impl FnOnce(&mut Weather)) {
        self.0.weather.send_modify(change);
    }

    /// Ends all connections with a reset (RST).
    pub fn reset(&self) {
        self.0.resets.send_modify(|resets| *resets += 1);
    }

    /// Decides what becomes of each request from now on. The bytes must be Kafka's own: no TLS.
    ///
    /// # Panics
    /// When there is a connection that began without any rule: it is not cut into frames, and would not obey.
    pub fn rule(&self, rule: impl FnMut(&Passing) -> Fate + Send + 'static) {
        let mut requests = self.0.requests.lock().unwrap();
        let uncut = requests.uncut;
        requests.rule = Some(Box::new(rule));
        drop(requests);
        assert_eq!(uncut, 0, "connections are open that began before the first rule: they would not obey it");
    }

    /// How many requests of an API are under way, or with the broker. Known of connections that began under a rule.
    pub fn in_flight(&self, key: ApiKey) -> usize {
        self.0.requests.lock().unwrap().in_flight.iter().filter(|known| **known == key).count()
    }

    /// When connections were made over it.
    pub fn connections(&self) -> Vec<Instant> {
        self.0.connections.lock().unwrap().clone()
    }

    /// How often each fate was met.
    pub fn met(&self, fate: Fate) -> usize {
        self.0.requests.lock().unwrap().met.iter().filter(|met| **met == fate).count()
    }

    /// How long each request of an API took that was answered while there was a rule: from its coming here to its answer's,
    /// which is the broker's own time and the latency of one way.
    pub fn answered(&self, key: ApiKey) -> Vec<Duration> {
        let requests = self.0.requests.lock().unwrap();
        requests.answered.iter().filter(|(answered, _)| *answered == key).map(|(_, took)| *took).collect()
    }

    /// How many requests of an API came while there was a rule.
    pub fn asked(&self, key: ApiKey) -> usize {
        self.0.requests.lock().unwrap().asked(key)
    }

    /// How many requests of any API came while there was a rule.
    pub fn asked_in_all(&self) -> usize {
        self.0.requests.lock().unwrap().asked_in_all()
    }

    /// How many bytes have arrived so far.
    pub fn carried(&self, way: Way) -> u64 {
        self.0.carried[way as usize].load(Ordering::Relaxed)
    }

    /// The port that leads to this broker.
    pub async fn to(&self, broker: &str) -> u16 {
        let mut gates = self.0.gates.lock().await;
        if let Some(port) = gates.get(broker) {
            return *port;
        }
        let gate = gate();
        let port = gate.local_addr().unwrap().port();
        gates.insert(broker.to_owned(), port);
        self.lead(gate, broker);
        port
    }

    /// Makes a gate that is there already lead to this broker.
    pub fn lead(&self, gate: TcpListener, broker: &str) {
        let accepting = tokio::spawn(accept(gate, broker.to_owned(), Arc::clone(&self.0)));
        self.0.tasks.lock().unwrap().push(accepting);
    }

    /// A dialler whose connections all go over this road.
    pub fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(Over { road: self.clone(), sockets: TcpDial::new(SocketOptions::default()) })
    }
}

/// Where clients come in: a listener on a free port, for brokers that are to be told of it before they listen themselves.
pub fn gate() -> TcpListener {
    // Small buffers: what the proxy has not passed on is to be felt by the sender.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    socket.listen(128).unwrap()
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Road").field("weather", &*self.weather.borrow()).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.get_mut().unwrap().iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[derive(Debug)]
struct Over {
    road: Road,
    sockets: TcpDial,
}

impl Dial for Over {
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        deadline: Instant,
    ) -> BoxFuture<'a, ottla::Result<Connected>> {
        Box::pin(async move {
            let gate = self.road.to(&endpoint.to_string()).await;
            let endpoint = Endpoint::new("127.0.0.1", gate, endpoint.security.clone());
            self.sockets.dial(&endpoint, deadline).await
        })
    }
}

/// Holds no more than a weak hand on the road: it ends with its last user.
async fn accept(listener: TcpListener, broker: String, road: Arc<Shared>) {
    let road = {
        let strong = road;
        Arc::downgrade(&strong)
    };
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let Some(road) = road.upgrade() else { return };
        road.connections.lock().unwrap().push(Instant::now());
        tokio::spawn(connection(client, broker.clone(), road));
    }
}

async fn connection(client: TcpStream, broker: String, road: Arc<Shared>) {
    let mut resets = road.resets.subscribe();
    let Ok(server) = TcpStream::connect(broker).await else { return };
    for stream in [&client, &server] {
        if stream.set_nodelay(true).is_err() {
            return;
        }
    }
    let (mut client, mut server) = (client, server);
    tokio::select! {
        biased;
        _ = resets.changed() => for stream in [client, server] { pipe::abort(stream) },
        () = pipe::join(&mut client, &mut server, &road) => {}
    }
}
