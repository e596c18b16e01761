//! Which APIs of Kafka's protocol are spoken, in which versions: what `protocol-specs/` describes, and what the codec does.
//!
//!     cargo run --example protocol_versions              # the table
//!     cargo run --example protocol_versions -- Metadata  # what each version of an API changed
#![allow(clippy::print_stdout, reason = "it prints a table")]

#[path = "../protocol-specs/reader/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "the tests use the rest of it")]
#[allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::exhaustive_enums,
    reason = "the reader is test support"
)]
mod specs;

use ottla::messages;
use specs::{Api, Book, Layout};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let book = Book::read()?;
    match std::env::args().nth(1) {
        None => table(&book),
        Some(name) => {
            let api = book.apis.iter().find(|api| api.name.eq_ignore_ascii_case(&name));
            history(api.ok_or_else(|| format!("no spec of an API named {name}"))?);
        }
    }
    Ok(())
}

fn table(book: &Book) {
    println!(
        "key  API                     Kafka 4.3  spoken  negotiated  flexible  answered by         shaped by"
    );
    for api in &book.apis {
        let row = messages::api(messages::ApiKey(api.key));
        let spoken = row.map_or("-".to_owned(), |row| row.versions.to_string());
        let negotiated = row.map_or("-".to_owned(), |row| row.negotiable.to_string());
        println!(
            "{:>3}  {:<22}  {:<9}  {spoken:<6}  {negotiated:<10}  {:<8}  {:<18}  {}",
            api.key,
            api.name,
            api.versions.to_string(),
            api.request.flexible.to_string(),
            api.answered_by.join(", "),
            kips(api.changes.iter().map(|change| change.text.as_str())),
        );
    }
    println!();
    for Layout { message, changes, .. } in book.headers.iter().chain(&book.data) {
        let kips = kips(changes.iter().map(|change| change.text.as_str()));
        println!(
            "     {:<33}  {}, flexible {}  {kips}",
            message.body.name, message.versions, message.flexible
        );
    }
}

/// The KIPs that some texts name, each once and in the order of the versions.
fn kips<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut kips: Vec<&str> = Vec::new();
    for text in texts {
        for rest in text.split("KIP-").skip(1) {
            let number = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if !kips.contains(&number) {
                kips.push(number);
            }
        }
    }
    if kips.is_empty() { String::new() } else { format!("KIP-{}", kips.join(", ")) }
}

fn history(api: &Api) {
    println!("{} (key {}), answered by {}\n\n{}\n", api.name, api.key, api.answered_by.join(", "), api.about);
    for change in &api.changes {
        println!("{:>5}  {}", change.versions.to_string(), change.text);
    }
}
