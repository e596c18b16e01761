//! Everything, as one table: builds franz-go's program, starts the sinks on one core and the clients on another, one client
//! after the other in each round, and puts the medians beside each other.

mod cases;
mod programs;
mod table;

use cases::{CASES, Case};
use programs::{Figures, Workshop};
use std::collections::BTreeMap;

const HELP: &str = "\
compare run [OPTIONS]    prints a Markdown table; what it is doing goes to standard error
  --cases A,B            only these; `--list` names them
  --clients A,B          only these
  --rounds N             5 unless told
  --scale F              records and seconds of each run, times F
  --quick                2 rounds, scale 0.3
  --list                 the cases
Both cores that it uses are to be idle. Failures of a client are told and leave its cell empty.";

/// What all runs gave: case, client, figures of each run.
type Results = BTreeMap<(&'static str, String), Vec<Figures>>;

struct Options {
    rounds: usize,
    scale: f64,
    cases: Option<Vec<String>>,
    clients: Option<Vec<String>>,
}

pub fn main(words: &[&str]) {
    let options = parse(words);
    let cases: Vec<&Case> = CASES.iter().filter(|case| chosen(&options.cases, case.name)).collect();
    let mut workshop = Workshop::open();
    let clients: Vec<String> =
        workshop.clients().into_iter().filter(|client| chosen(&options.clients, client)).collect();
    let mut results = Results::new();
    for round in 0..options.rounds {
        for case in cases.iter().filter(|case| round == 0 || !case.once) {
            for client in &clients {
                measure(&mut workshop, case, client, &options, round, &mut results);
            }
        }
    }
    print!("{}", table::render(&clients, &results));
    print!("\n{}", table::notes(&clients, options.rounds, options.scale));
}

fn measure(
    workshop: &mut Workshop,
    case: &'static Case,
    client: &str,
    options: &Options,
    round: usize,
    results: &mut Results,
) {
    for _ in 0..case.repeat {
        let words = (case.words)(options.scale);
        match workshop.run(client, case, &words) {
            Ok(figures) => {
                eprintln!("round {} {} {client}: {}", round + 1, case.name, table::line(&figures));
                results.entry((case.name, client.to_owned())).or_default().push(figures);
            }
            Err(reason) => eprintln!("round {} {} {client}: FAILED: {reason}", round + 1, case.name),
        }
    }
}

fn chosen(list: &Option<Vec<String>>, name: &str) -> bool {
    list.as_ref().is_none_or(|list| list.iter().any(|item| item == name))
}

fn parse(words: &[&str]) -> Options {
    let mut options = Options { rounds: 5, scale: 1.0, cases: None, clients: None };
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word {
            "--cases" => options.cases = Some(list(value(), &CASES.map(|case| case.name))),
            "--clients" => options.clients = Some(list(value(), &programs::ALL)),
            "--rounds" => options.rounds = crate::number(value()),
            "--scale" => options.scale = crate::number(value()),
            "--quick" => (options.rounds, options.scale) = (2, 0.3),
            "--list" => {
                CASES.iter().for_each(|case| println!("{}", case.name));
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
