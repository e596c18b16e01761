//! Where records go whose place does not matter: what is remembered of one topic.

use super::{Choice, Unplaced};

/// One topic's memory: the sticky partition with its share of bytes, and whose turn it is.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    sticky: Option<Sticky>,
    turn: usize,
}

#[derive(Debug, Clone, Copy)]
struct Sticky {
    partition: i32,
    bytes: usize,
    /// Whether it has a batch that takes more, and how many bytes it gets at most as long as it has.
    is_filling: bool,
    most: usize,
}

/// What decides about the sticky partition, and only its owner knows. Asked when it matters, not for each record.
pub trait Ground {
    /// How many bytes the sticky partition gets before another has its turn.
    fn share(&self) -> usize;
    /// How the next sticky partition is drawn.
    fn load(&self) -> Load;
}

impl Spread {
    /// The sticky partition, when that is what was chosen and its share is not used up: nothing else needs to be looked at.
    /// Good as long as [`recheck`](Self::recheck) is called whenever the topic changes.
    #[inline]
    pub fn stay(&self, choice: Choice, ground: &impl Ground) -> Option<i32> {
        let sticky = self.sticky.filter(|sticky| choice == Choice::Sticky && !sticky.is_over(ground))?;
        Some(sticky.partition)
    }

    /// Leaves the sticky partition if it is gone or without a leader now.
    pub fn recheck(&mut self, partitions: i32, available: &[i32]) {
        self.sticky = self.sticky.filter(|sticky| is_good(sticky.partition, partitions, available));
    }

    /// The partition for what a partitioner chose; `None` when the topic has no such partition, or none at all.
    pub fn place(
        &mut self,
        choice: Choice,
        record: &Unplaced<'_>,
        ground: &impl Ground,
        rng: &mut fastrand::Rng,
    ) -> Option<i32> {
        if record.partitions < 1 {
            return None;
        }
        match choice {
            Choice::Partition(partition) => (0..record.partitions).contains(&partition).then_some(partition),
            Choice::Random => draw(record, rng),
            Choice::InTurn => {
                let turn = self.turn;
                self.turn = turn.wrapping_add(1);
                nth(record, turn)
            }
            Choice::Sticky => match self.sticky {
                Some(sticky)
                    if is_good(sticky.partition, record.partitions, record.available)
                        && !sticky.is_over(ground) =>
                {
                    Some(sticky.partition)
                }
                _ => {
                    let partition = ground.load().draw(record, rng).or_else(|| draw(record, rng))?;
                    self.sticky = Some(Sticky {
                        partition,
                        bytes: 0,
                        is_filling: false,
                        most: ground.share().saturating_mul(2),
                    });
                    Some(partition)
                }
            },
        }
    }

    /// Counts what was appended to a partition.
    pub fn appended(&mut self, partition: i32, bytes: usize) {
        if let Some(sticky) = self.sticky.as_mut().filter(|sticky| sticky.partition == partition) {
            sticky.bytes = sticky.bytes.saturating_add(bytes);
            sticky.is_filling = true;
        }
    }

    /// A batch was opened in a partition. It had better not be left before the partition had `most` bytes.
    pub fn opened(&mut self, partition: i32, most: usize) {
        if let Some(sticky) = self.sticky.as_mut().filter(|sticky| sticky.partition == partition) {
            sticky.most = most;
        }
    }

    /// A batch of a partition takes no more.
    pub fn taken(&mut self, partition: i32) {
        if let Some(sticky) = self.sticky.as_mut().filter(|sticky| sticky.partition == partition) {
            sticky.is_filling = false;
        }
    }
}

impl Sticky {
    /// Whether it is another partition's turn. A switch in the middle of a batch would leave small batches behind, so one
    /// that still fills may go on for a while (KIP-794).
    fn is_over(&self, ground: &impl Ground) -> bool {
        self.bytes >= ground.share() && (self.bytes >= self.most || !self.is_filling)
    }
}

/// How likely each partition of a topic is to become the sticky one: the shorter the queue of its batches, the likelier
/// (KIP-794). Empty: all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// Partitions with the sums of the weights up to and including theirs.
    sums: Vec<(u64, i32)>,
}

impl Load {
    /// The table for the batches that wait in each partition. Leave out the partitions whose broker takes no batches
    /// (`partitioner.availability.timeout.ms`).
    ///
    /// As in Java, a partition weighs the longest queue plus one, less its own queue.
    pub fn of_queues(queues: &[(i32, u32)]) -> Load {
        let longest = queues.iter().map(|(_, queued)| *queued).max().unwrap_or_default();
        let mut sum = 0u64;
        let weigh = |(partition, queued): &(i32, u32)| {
            sum = sum.saturating_add(u64::from(longest.saturating_sub(*queued))).saturating_add(1);
            (sum, *partition)
        };
        Load { sums: queues.iter().map(weigh).collect() }
    }

    /// A partition by weight; `None` when the table is empty or older than the topic's partitions.
    fn draw(&self, record: &Unplaced<'_>, rng: &mut fastrand::Rng) -> Option<i32> {
        let (total, _) = *self.sums.last()?;
        let lot = rng.u64(..total);
        let index = self.sums.partition_point(|(sum, _)| *sum <= lot);
        let (_, partition) = *self.sums.get(index)?;
        is_good(partition, record.partitions, record.available).then_some(partition)
    }
}

/// Whether the partition exists and has a leader (or none has).
fn is_good(partition: i32, partitions: i32, available: &[i32]) -> bool {
    let all_available = usize::try_from(partitions) == Ok(available.len());
    (0..partitions).contains(&partition)
        && (all_available || available.is_empty() || available.binary_search(&partition).is_ok())
}

/// Any partition that has a leader; any at all when none has.
fn draw(record: &Unplaced<'_>, rng: &mut fastrand::Rng) -> Option<i32> {
    nth(record, rng.usize(..))
}

/// The partition with this number, counted over and over.
fn nth(record: &Unplaced<'_>, number: usize) -> Option<i32> {
    if let Some(index) = number.checked_rem(record.available.len()) {
        return record.available.get(index).copied();
    }
    let partitions = usize::try_from(record.partitions).ok()?;
    number.checked_rem(partitions).and_then(|partition| i32::try_from(partition).ok())
}
