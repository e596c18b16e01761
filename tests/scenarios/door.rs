//! [`Door`]: what a client connects to in place of a broker, and which counts how often it does.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A port of this machine; closed when dropped.
pub struct Door {
    port: u16,
    knocks: Arc<Mutex<Vec<Instant>>>,
    task: tokio::task::JoinHandle<()>,
}

/// What is behind it.
#[derive(Clone)]
pub enum Behind {
    /// A broker's listener.
    Broker(String),
    /// A server that hears something, says this and hangs up.
    Says(&'static [u8]),
    /// Somebody who never says anything.
    Silence,
}

impl Door {
    pub async fn to(behind: Behind) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let knocks = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&knocks);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                noted.lock().unwrap().push(Instant::now());
                tokio::spawn(open(stream, behind.clone()));
            }
        });
        Door { port, knocks, task }
    }

    /// `localhost` and the port: what the test brokers' certificates are for.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// How many connections there were.
    pub fn knocks(&self) -> usize {
        self.knocks.lock().unwrap().len()
    }

    /// The most connections that any window of this length had.
    pub fn most_in(&self, window: Duration) -> usize {
        let knocks = self.knocks.lock().unwrap();
        let within =
            |first: &Instant| knocks.iter().filter(|at| **at >= *first && **at < *first + window).count();
        knocks.iter().map(within).max().unwrap_or(0)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn open(mut client: TcpStream, behind: Behind) {
    match behind {
        Behind::Broker(address) => {
            if let Ok(mut broker) = TcpStream::connect(address).await {
                let _ = copy_bidirectional(&mut client, &mut broker).await;
            }
        }
        Behind::Says(what) => {
            let _ = client.read(&mut [0; 1024]).await;
            let _ = client.write_all(what).await;
        }
        Behind::Silence => {
            let mut sink = [0; 1024];
            while client.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        }
    }
}
