//! Bytes from one socket to the other, as the weather has it.

use super::frames::{Cutter, Piece};
use super::{Shared, Way, Weather};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;
/// Chunks that are on their way; more wait in the sender's socket.
const UNDER_WAY: usize = 64;

/// Passes bytes both ways until both have ended, or one was cut.
pub(super) async fn join(client: &mut TcpStream, server: &mut TcpStream, road: &Arc<Shared>) {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (up_cutter, down_cutter) = Cutter::pair(road);
    let up = one_way(from_client, to_server, up_cutter, Way::Up, road);
    let down = one_way(from_server, to_client, down_cutter, Way::Down, road);
    // Whichever is cut first ends both; an orderly end of one waits for the other.
    tokio::select! {
        biased;
        () = until_cut(up, Way::Up) => {}
        () = until_cut(down, Way::Down) => {}
    }
}

async fn until_cut(way: impl Future<Output = Ended>, which: Way) {
    if way.await == Ended::InOrder && which == Way::Up {
        std::future::pending().await
    }
}

/// A connection that ends with a reset.
pub(super) fn abort(stream: TcpStream) {
    #[allow(deprecated, reason = "a linger of zero does not block")]
    let _ = stream.set_linger(Some(Duration::ZERO));
}

#[derive(Debug, PartialEq)]
enum Ended {
    InOrder,
    Cut,
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut cutter: Cutter,
    way: Way,
    road: &Arc<Shared>,
) -> Ended {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Piece)>(UNDER_WAY);
    let weather = road.weather.subscribe();
    let latency = weather.clone();
    let reading = async move {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match from.read(&mut chunk).await {
                Ok(0) => return Ended::InOrder,
                Ok(read) => read,
                Err(_) => return Ended::Cut,
            };
            for piece in cutter.take(&chunk[..read]) {
                let at = Instant::now() + latency.borrow().latency;
                if sender.send((at, piece)).await.is_err() {
                    return Ended::Cut;
                }
            }
        }
    };
    let writing = async {
        let mut pen = Pen { weather, way, written: 0, carried: &road.carried[way as usize] };
        while let Some((at, piece)) = receiver.recv().await {
            sleep_until(at).await;
            // What came before a cut arrives.
            let Piece::Bytes(bytes) = piece else { return Ended::Cut };
            if pen.write(&mut to, bytes).await.is_err() {
                return Ended::Cut;
            }
        }
        let _ = to.shutdown().await;
        Ended::InOrder
    };
    // A socket that is gone counts at once, an end only when all is written.
    tokio::pin!(reading, writing);
    tokio::select! {
        biased;
        written = &mut writing => written,
        read = &mut reading => match read {
            Ended::Cut => Ended::Cut,
            Ended::InOrder => writing.await,
        },
    }
}

/// Writes as the weather lets it.
struct Pen<'a> {
    weather: watch::Receiver<Weather>,
    way: Way,
    written: u64,
    carried: &'a AtomicU64,
}

impl Pen<'_> {
    /// # Errors
    /// When the socket is gone, or this is where the connection is cut.
    async fn write(&mut self, to: &mut WriteHalf<'_>, mut bytes: Vec<u8>) -> Result<(), ()> {
        let down = self.way == Way::Down;
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            let open = self.weather.wait_for(|weather| !weather.blackhole).await.map_err(drop)?.clone();
            let drip = open.drip.filter(|_| down);
            let bandwidth = open.bandwidth[usize::from(down)];
            let cut = open.cut_after.filter(|_| down).map(|after| after.saturating_sub(self.written));
            // A fiftieth of a second's worth at a time keeps the flow even.
            let share = bandwidth.map(|bandwidth| usize::try_from(bandwidth / 50).unwrap().max(1));
            let cut_at = cut.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
            let limits = [drip.map(|(at_once, _)| at_once), share, cut_at.filter(|left| *left > 0)];
            if cut_at == Some(0) {
                return Err(());
            }
            let piece = limits.into_iter().flatten().min().unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(piece);
            if let Some(every) = open.flip_every.filter(|_| down) {
                flip(now, self.written, every);
            }
            to.write_all(now).await.map_err(drop)?;
            self.written += piece as u64;
            self.carried.fetch_add(piece as u64, Ordering::Relaxed);
            rest = later;
            if let Some((_, pause)) = drip {
                sleep(pause).await;
            }
            if let Some(bandwidth) = bandwidth {
                sleep(Duration::from_secs_f64(piece as f64 / f64::from(bandwidth))).await;
            }
        }
        Ok(())
    }
}

/// Flips a bit of each byte whose place on the connection is a multiple of `every`, the first aside.
fn flip(bytes: &mut [u8], from: u64, every: u64) {
    for (at, byte) in (from..).zip(bytes) {
        if at > 0 && at % every == 0 {
            *byte ^= 0x10;
        }
    }
}
