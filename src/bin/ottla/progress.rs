//! [`Progress`]: how far long work has come, for whoever watches the terminal.

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A line on the terminal that tells how many records and bytes there were so far. Without a terminal it does nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    records: u64,
    bytes: u64,
}

/// `1 record`, `2,000 records`.
pub(crate) fn count_of_records(count: u64) -> String {
    format!("{} {}", HumanCount(count), if count == 1 { "record" } else { "records" })
}

impl Progress {
    /// Progress towards `total` bytes, if it is known how many there will be.
    pub(crate) fn new(shown: bool, total: Option<u64>) -> Progress {
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3} % {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        bar.set_draw_target(target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, records: 0, bytes: 0 }
    }

    /// There were this many more.
    pub(crate) fn add(&mut self, records: u64, bytes: u64) {
        self.records = self.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(bytes);
        if !self.bar.is_hidden() {
            self.bar.set_position(self.bytes);
            let seconds = self.bar.elapsed().as_secs().max(1);
            let message = format!(
                "{}, {} ({}/s)",
                count_of_records(self.records),
                HumanBytes(self.bytes),
                HumanBytes(self.bytes.checked_div(seconds).unwrap_or_default())
            );
            self.bar.set_message(message);
        }
    }

    /// Says something on standard error, above the progress.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("ottla: {text}"));
    }

    /// Ends the display and leaves nothing.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Ends the display and leaves one line that tells what there was.
    pub(crate) fn finish(&self) {
        if !self.bar.is_hidden() {
            let took =
                Duration::from_millis(u64::try_from(self.bar.elapsed().as_millis()).unwrap_or(u64::MAX));
            self.bar.finish_and_clear();
            eprintln!(
                "{}, {} in {}",
                count_of_records(self.records),
                HumanBytes(self.bytes),
                HumanDuration(took)
            );
        }
    }
}
