//! Taking out of a failing plan what it does not need to fail.

use crate::plan::{Knobs, Plan};

/// The smallest plan that was found to fail still. `fails` is asked often.
pub fn shrink(mut plan: Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    loop {
        let before = (plan.steps.len(), changed(&plan.knobs));
        for index in (0..plan.steps.len()).rev() {
            let mut smaller = plan.clone();
            smaller.steps.remove(index);
            if fails(&smaller) {
                plan = smaller;
            }
        }
        for calm in CALM {
            let mut smaller = plan.clone();
            calm(&mut smaller.knobs);
            if changed(&smaller.knobs) < changed(&plan.knobs) && fails(&smaller) {
                plan = smaller;
            }
        }
        if (plan.steps.len(), changed(&plan.knobs)) == before {
            return plan;
        }
    }
}

/// Each sets one knob to what is ordinary. The number of brokers and partitions stays, as steps name them.
const CALM: [fn(&mut Knobs); 17] = [
    |knobs| knobs.records = Knobs::plain().records,
    |knobs| knobs.keys = Knobs::plain().keys,
    |knobs| knobs.pace = Knobs::plain().pace,
    |knobs| knobs.value_bytes = Knobs::plain().value_bytes,
    |knobs| knobs.round_trip = Knobs::plain().round_trip,
    |knobs| knobs.jitter = Knobs::plain().jitter,
    |knobs| knobs.small_reads = Knobs::plain().small_reads,
    |knobs| (knobs.idempotent, knobs.in_flight) = (Knobs::plain().idempotent, Knobs::plain().in_flight),
    |knobs| knobs.batch_bytes = Knobs::plain().batch_bytes,
    |knobs| knobs.linger_ms = Knobs::plain().linger_ms,
    |knobs| knobs.codec = Knobs::plain().codec,
    |knobs| knobs.request_timeout_ms = Knobs::plain().request_timeout_ms,
    |knobs| knobs.delivery_timeout_ms = Knobs::plain().delivery_timeout_ms,
    |knobs| knobs.metadata_age_ms = Knobs::plain().metadata_age_ms,
    |knobs| knobs.fetch_wait_ms = Knobs::plain().fetch_wait_ms,
    |knobs| knobs.fetch_bytes = Knobs::plain().fetch_bytes,
    |knobs| knobs.queued_kbytes = Knobs::plain().queued_kbytes,
];

/// How many knobs are not as they are ordinarily.
fn changed(knobs: &Knobs) -> usize {
    let as_it_is = format!("{knobs:#?}");
    let plain = format!("{:#?}", Knobs::plain());
    as_it_is.lines().zip(plain.lines()).filter(|(one, other)| one != other).count()
}
