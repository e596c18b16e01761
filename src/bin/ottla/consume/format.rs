//! [`Format`]: how a record is printed.

use super::Options;
use super::json::Json;
use super::leaders::Leaders;
use super::template::Template;
use ottla::consumer::FetchedRecord;

/// How a record is printed. Nothing is allocated for a record, only the buffer grows.
#[derive(Debug)]
pub(super) enum Format {
    /// What `-f` says, or `-K` and `-D`; `null` is what a key or a value that is null looks like.
    Text { template: Template, null: &'static [u8] },
    /// An object with the names that kcat uses.
    Json(Json),
}

impl Format {
    pub(super) fn new(options: &Options, leaders: Leaders) -> Format {
        let delimiter = options.delimiter.clone();
        if options.json {
            return Format::Json(Json::new(delimiter, leaders));
        }
        // As in kcat, a format goes before the delimiters.
        let template = match &options.format {
            Some(template) => template.clone(),
            None => Template::delimited(options.key_delimiter.clone(), delimiter),
        };
        Format::Text { template, null: if options.null_marker { b"NULL" } else { b"" } }
    }

    /// Who leads the partitions, where that is printed.
    pub(super) fn leaders(&mut self) -> Option<&mut Leaders> {
        match self {
            Format::Text { .. } => None,
            Format::Json(json) => Some(json.leaders()),
        }
    }

    pub(super) fn print(&self, record: &FetchedRecord<'_>, to: &mut Vec<u8>) {
        match self {
            Format::Text { template, null } => template.print(record, null, to),
            Format::Json(json) => json.print(record, to),
        }
    }
}
