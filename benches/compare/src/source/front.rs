//! What stands before the embedded brokers where bytes are counted or encrypted: clients are told its addresses.

use super::counts::Counts;
use bytes::BytesMut;
use ottla::broker::Cluster;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Read and written at once, at most.
const PIECE: usize = 256 << 10;

/// Stands before each broker of the cluster, on ports of its own, and gives its addresses.
pub async fn open(cluster: &Cluster, acceptor: Option<TlsAcceptor>, counts: &Arc<Counts>) -> String {
    let mut addresses = Vec::new();
    for broker in cluster.brokers() {
        let behind = cluster.address(broker).expect("a broker");
        let gate = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = gate.local_addr().expect("an address").port();
        cluster.advertise(broker, "127.0.0.1", port).expect("a broker");
        addresses.push(format!("127.0.0.1:{port}"));
        tokio::spawn(serve(gate, behind, acceptor.clone(), Arc::clone(counts)));
    }
    addresses.join(",")
}

async fn serve(gate: TcpListener, behind: String, acceptor: Option<TlsAcceptor>, counts: Arc<Counts>) {
    loop {
        let (client, _) = gate.accept().await.expect("a connection");
        let (behind, acceptor, counts) = (behind.clone(), acceptor.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            client.set_nodelay(true).expect("a socket");
            let broker = TcpStream::connect(behind).await.expect("the broker");
            broker.set_nodelay(true).expect("a socket");
            match acceptor {
                None => join(client, broker, &counts).await,
                Some(acceptor) => match acceptor.accept(client).await {
                    Ok(client) => join(client, broker, &counts).await,
                    Err(error) => eprintln!("source: no TLS with a client: {error}"),
                },
            }
        });
    }
}

/// Until either side ends.
async fn join(client: impl AsyncRead + AsyncWrite, broker: TcpStream, counts: &Counts) {
    let ((from_client, to_client), (from_broker, to_broker)) =
        (tokio::io::split(client), broker.into_split());
    tokio::select! {
        () = carry(from_client, to_broker, |_| {}) => {}
        () = carry(from_broker, to_client, |bytes| counts.sent(bytes)) => {}
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, passed: impl Fn(usize)) {
    let mut piece = BytesMut::with_capacity(PIECE);
    while matches!(from.read_buf(&mut piece).await, Ok(1..)) {
        passed(piece.len());
        if to.write_all(&piece).await.is_err() || to.flush().await.is_err() {
            return;
        }
        piece.clear();
    }
}
