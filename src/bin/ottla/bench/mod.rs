//! `ottla bench`: measurements against a cluster, with the options of Apache's own tools where those have them.
//!
//! `produce` is a command; `load` makes the records and hands them over when they are due, on a thread of its own; `watch`
//! sees when they are acknowledged. `consume` is the other. For both, `figures` adds up, `latencies` holds how long each
//! took, `cpu` knows what it cost, and `summary` says it.

mod consume;
mod consumed;
mod cpu;
mod figures;
mod latencies;
mod load;
mod produce;
mod summary;
mod watch;

use crate::connection;
use crate::failure::Outcome;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Send records and measure: how many a second, how long until each is acknowledged, and the CPU time they cost
    Produce(produce::Options),
    /// Read records and measure: how many a second, the CPU time they cost, and of those that are written meanwhile how long
    /// they took to arrive
    Consume(consume::Options),
}

pub(crate) async fn run(connection: &connection::Options, options: Options) -> Outcome {
    match options.what {
        What::Produce(options) => produce::run(connection, options).await,
        What::Consume(options) => consume::run(connection, options).await,
    }
}
