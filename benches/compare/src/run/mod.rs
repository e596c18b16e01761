//! Everything, as one table: builds franz-go's program, starts sinks and sources (or a real Kafka) on one core and the clients on
//! another, one client after the other in each round, and puts the medians beside each other.

mod cases;
mod kafka;
mod programs;
mod table;

use crate::clients::FLOOR;
use cases::Case;
use programs::{Figures, Workshop};
use std::collections::BTreeMap;

const HELP: &str = "\
compare run [OPTIONS]    prints a Markdown table; what it is doing goes to standard error
  --cases A,B            only these; `--list` names them; `producing` and `consuming` stand for all of their kind
  --clients A,B          only these
  --kafka                against a real Kafka of one broker, which it starts, in place of sinks and sources, with a fifth of
                         the records or a tenth; not the cases `distant`, `distant-idempotent`, `memory`, `received-..`,
                         `deliver..` and `idle`
  --rounds N             5 unless told
  --scale F              records and seconds of each run, times F
  --quick                2 rounds, scale 0.3
  --list                 the cases
Both cores that it uses are to be idle. Failures of a client are told, also below the table.";

/// Names for many cases.
const PRODUCING: &str = "producing";
const CONSUMING: &str = "consuming";

/// What all runs gave: case, client, figures of each run.
type Results = BTreeMap<(&'static str, String), Vec<Figures>>;

struct Options {
    kafka: bool,
    rounds: usize,
    scale: f64,
    cases: Option<Vec<String>>,
    clients: Option<Vec<String>>,
}

pub fn main(words: &[&str]) {
    let options = parse(words);
    let wanted = |case: &&Case| {
        let group = if case.reads() { CONSUMING } else { PRODUCING };
        chosen(&options.cases, case.name) || chosen(&options.cases, group)
    };
    let cases: Vec<&'static Case> =
        cases::all().filter(wanted).filter(|case| !options.kafka || case.on_kafka > 0.0).collect();
    let mut workshop = Workshop::open(options.kafka);
    let clients: Vec<String> =
        workshop.clients().into_iter().filter(|client| chosen(&options.clients, client)).collect();
    if options.kafka {
        warm_up(&mut workshop, &cases, &options);
    }
    let (mut results, mut failures) = (Results::new(), Vec::new());
    for round in 0..options.rounds {
        for case in cases.iter().filter(|case| round == 0 || !case.once) {
            for client in clients.iter().filter(|client| *client != FLOOR || case.has_floor()) {
                let who = format!("round {} {} {client}", round + 1, case.name);
                for figures in measure(&mut workshop, case, client, &options, &who, &mut failures) {
                    results.entry((case.name, client.to_owned())).or_default().push(figures);
                }
            }
        }
    }
    print!("{}", table::render(&clients, &results));
    let against = workshop.against();
    let notes = table::notes(&clients, &cases, &against, options.rounds, options.scale);
    print!("\n{notes}{}", table::failures(&failures));
}

/// Java's compiler gets what it needs to know before anybody is measured: each case once, by ours.
fn warm_up(workshop: &mut Workshop, cases: &[&'static Case], options: &Options) {
    for case in cases {
        if let Err(reason) = workshop.run("ottla", case, case.on_kafka * options.scale) {
            eprintln!("warm-up {}: FAILED: {reason}", case.name);
        }
    }
}

/// The runs of a case and client in one round, told as they come; those that failed are noted.
fn measure(
    workshop: &mut Workshop,
    case: &'static Case,
    client: &str,
    options: &Options,
    who: &str,
    failures: &mut Vec<String>,
) -> Vec<Figures> {
    let share = if options.kafka { case.on_kafka } else { 1.0 };
    let run = |_| match workshop.run(client, case, options.scale * share) {
        Ok(figures) => {
            eprintln!("{who}: {}", table::line(&figures));
            Some(figures)
        }
        Err(reason) => {
            eprintln!("{who}: FAILED: {reason}");
            let said: Vec<&str> = reason.lines().take(2).collect();
            failures.push(format!("{who}: {}", said.join(" ")));
            None
        }
    };
    (0..case.repeat).filter_map(run).collect()
}

fn chosen(list: &Option<Vec<String>>, name: &str) -> bool {
    list.as_ref().is_none_or(|list| list.iter().any(|item| item == name))
}

fn parse(words: &[&str]) -> Options {
    let mut options = Options { kafka: false, rounds: 5, scale: 1.0, cases: None, clients: None };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word {
            "--cases" => {
                let names = cases::all().map(|case| case.name).chain([PRODUCING, CONSUMING]);
                options.cases = Some(list(value(), &names.collect::<Vec<_>>()));
            }
            "--clients" => options.clients = Some(list(value(), &programs::ALL)),
            "--kafka" => options.kafka = true,
            "--rounds" => options.rounds = crate::number(value()),
            "--scale" => options.scale = crate::number(value()),
            "--quick" => (options.rounds, options.scale) = (2, 0.3),
            "--list" => {
                cases::all().for_each(|case| println!("{}", case.name));
                std::process::exit(0);
            }
            "--help" => {
                println!("{HELP}");
                std::process::exit(0);
            }
            other => panic!("'{other}' is no option\n{HELP}"),
        }
    }
    options
}

fn list(words: &str, known: &[&str]) -> Vec<String> {
    let check = |word: &str| {
        assert!(known.contains(&word), "'{word}' is none of {known:?}");
        word.to_owned()
    };
    words.split(',').map(check).collect()
}
