//! The orders of the quickstart: what happens to them, and what that makes of each.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that happened to an order. The records of the topic are these, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    /// The order's number: also the record's key, so that all that happens to an order is in one partition, in order.
    pub(super) order: String,
    /// Which run of the quickstart it belongs to.
    pub(super) run: String,
    #[serde(flatten)]
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum What {
    Placed { customer: String, total_cents: u64 },
    Paid { cents: u64 },
    Packed { parcel: String },
    Shipped { carrier: String },
    Cancelled { reason: String },
}

/// What is known of an order: nothing but the sum of what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) customer: String,
    pub(super) total_cents: u64,
    pub(super) status: Status,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Placed,
    Paid,
    Packed { parcel: String },
    Shipped { parcel: String, carrier: String },
    Cancelled { reason: String },
}

impl Order {
    /// The order after one more thing has happened to it.
    ///
    /// # Errors
    /// When that cannot have happened next: something is missing, there twice, or out of order.
    pub(super) fn after(order: Option<&Order>, what: &What) -> Result<Order, String> {
        let Some(order) = order else {
            return match what {
                What::Placed { customer, total_cents } => Ok(Order {
                    customer: customer.clone(),
                    total_cents: *total_cents,
                    status: Status::Placed,
                }),
                _ => Err(format!("{} before it was placed", what.name())),
            };
        };
        let status = match (&order.status, what) {
            (Status::Placed, What::Paid { .. }) => Status::Paid,
            (Status::Placed, What::Cancelled { reason }) => Status::Cancelled { reason: reason.clone() },
            (Status::Paid, What::Packed { parcel }) => Status::Packed { parcel: parcel.clone() },
            (Status::Packed { parcel }, What::Shipped { carrier }) => {
                Status::Shipped { parcel: parcel.clone(), carrier: carrier.clone() }
            }
            (status, what) => return Err(format!("{} when it was {}", what.name(), status.name())),
        };
        Ok(Order { status, ..order.clone() })
    }
}

impl What {
    pub(super) fn name(&self) -> &'static str {
        match self {
            What::Placed { .. } => "placed",
            What::Paid { .. } => "paid",
            What::Packed { .. } => "packed",
            What::Shipped { .. } => "shipped",
            What::Cancelled { .. } => "cancelled",
        }
    }
}

impl Status {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Status::Placed => "placed",
            Status::Paid => "paid",
            Status::Packed { .. } => "packed",
            Status::Shipped { .. } => "shipped",
            Status::Cancelled { .. } => "cancelled",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}, ", Euros(self.total_cents), self.customer)?;
        match &self.status {
            Status::Placed => f.write_str("to be paid"),
            Status::Paid => f.write_str("paid, to be packed"),
            Status::Packed { parcel } => write!(f, "paid, in parcel {parcel}, to be shipped"),
            Status::Shipped { parcel, carrier } => {
                write!(f, "paid, in parcel {parcel}, shipped by {carrier}")
            }
            Status::Cancelled { reason } => write!(f, "cancelled: {reason}"),
        }
    }
}

/// An amount for a person to read.
pub(super) struct Euros(pub(super) u64);

impl fmt::Display for Euros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EUR {}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// What happens in a run, in the order in which it happens: orders overlap, as they do.
pub(super) fn events_of(run: &str, orders: usize) -> Vec<Event> {
    /// So many orders are placed before the next thing happens to one.
    const PACE: usize = 4;
    let lives: Vec<Vec<Event>> = (0..orders).map(|number| life(run, number)).collect();
    let steps = lives.iter().map(Vec::len).max().unwrap_or(0);
    let mut events = Vec::new();
    for tick in 0..orders + steps * PACE {
        for step in 0..steps {
            let life = tick.checked_sub(step * PACE).and_then(|number| lives.get(number));
            events.extend(life.and_then(|life| life.get(step)).cloned());
        }
    }
    events
}

/// All that happens to one order.
fn life(run: &str, number: usize) -> Vec<Event> {
    const CUSTOMERS: [&str; 7] = ["Ada", "Bohumil", "Chiara", "Dmitri", "Elif", "Franz", "Žofie"];
    const CARRIERS: [&str; 3] = ["Donkey Post", "Slow Boat", "Zeppelin"];
    let pick =
        |names: &[&str]| names.get(number % names.len()).map_or(String::new(), |name| (*name).to_owned());
    let order = format!("{run}-{number:04}");
    let total_cents = 995 + (number as u64 * 7919) % 20_000;
    let placed = What::Placed { customer: pick(&CUSTOMERS), total_cents };
    let paid = What::Paid { cents: total_cents };
    let packed = What::Packed { parcel: format!("P{number:04}") };
    let shipped = What::Shipped { carrier: pick(&CARRIERS) };
    let happened = match number % 10 {
        3 => vec![placed, What::Cancelled { reason: "found it cheaper".to_owned() }],
        5 => vec![placed, paid],
        7 => vec![placed, paid, packed],
        9 => vec![placed],
        _ => vec![placed, paid, packed, shipped],
    };
    happened.into_iter().map(|what| Event { order: order.clone(), run: run.to_owned(), what }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn events_follow_each_other_and_overlap() {
        let events = events_of("run", 50);
        let mut orders: BTreeMap<&str, Order> = BTreeMap::new();
        for event in &events {
            let order = Order::after(orders.get(event.order.as_str()), &event.what).unwrap();
            orders.insert(&event.order, order);
        }
        assert_eq!(orders.len(), 50);
        assert_ne!(events[4].order, events[5].order);
        let shipped = orders.values().filter(|order| order.status.name() == "shipped").count();
        assert_eq!(shipped, 30);
    }

    #[test]
    fn what_cannot_have_happened_is_told() {
        let paid = What::Paid { cents: 1 };
        assert_eq!(Order::after(None, &paid).unwrap_err(), "paid before it was placed");
        let placed = What::Placed { customer: "Ada".to_owned(), total_cents: 1 };
        let order = Order::after(None, &placed).unwrap();
        assert_eq!(Order::after(Some(&order), &placed).unwrap_err(), "placed when it was placed");
        let order = Order::after(Some(&order), &paid).unwrap();
        assert_eq!(Order::after(Some(&order), &paid).unwrap_err(), "paid when it was paid");
    }

    #[test]
    fn an_event_is_json_and_back() {
        for event in events_of("run", 10) {
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "{json}");
        }
    }

    #[test]
    fn amounts_are_in_euros_and_cents() {
        assert_eq!(Euros(123_405).to_string(), "EUR 1234.05");
    }
}
