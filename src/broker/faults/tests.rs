use super::*;
use crate::messages::{FetchPartitionResponse, FetchResponse, FetchTopicResponse};

/// Asks the rules about as many requests of an API as there are places, and tells who struck each.
fn strikes(rules: &mut Rules, api: ApiKey, count: usize) -> Vec<Option<u64>> {
    let case = Case { broker: 1, api, client_id: Some("c"), about: &[] };
    (0..count).map(|_| rules.decide(&case).and_then(|decision| decision.by).map(|id| id.0)).collect()
}

fn lost() -> Fault {
    Fault::new(Fate::LoseAnswer)
}

#[test]
fn a_rule_strikes_for_ever_or_so_often_or_each_so_manyth() {
    let all = [Some(0); 5];
    let some = |pattern: &str| -> Vec<Option<u64>> {
        pattern.chars().map(|struck| (struck == 'x').then_some(0)).collect()
    };
    for (fault, expected) in [
        (lost(), all.to_vec()),
        (lost().times(2), some("xx...")),
        (lost().skip(2), some("..xxx")),
        (lost().every(2), some(".x.x.")),
        (lost().every(3).times(1), some("..x....")),
        (lost().skip(1).every(2).times(2), some("..x.x..")),
        (lost().every(0), all.to_vec()),
        (lost().times(0), some(".....")),
    ] {
        let mut rules = Rules::default();
        rules.add(fault.clone());
        assert_eq!(strikes(&mut rules, ApiKey::PRODUCE, expected.len()), expected, "{fault:?}");
    }
}

#[test]
fn the_first_rule_that_strikes_decides_and_those_behind_do_not_count() {
    let mut rules = Rules::default();
    let first = rules.add(lost().every(2));
    rules.add(lost().skip(1));
    assert_eq!(strikes(&mut rules, ApiKey::FETCH, 5), [None, Some(0), Some(1), Some(0), Some(1)]);
    assert!(rules.remove(first) && !rules.remove(first));
    assert_eq!(strikes(&mut rules, ApiKey::FETCH, 1), [Some(1)]);
    rules.clear();
    assert!(rules.is_empty());
    assert_eq!(rules.add(lost()), FaultId(2), "an id is not used again");
}

#[test]
fn a_rule_is_for_what_it_names() {
    let about = [("t".to_owned(), Some(1)), ("u".to_owned(), None)];
    let case = Case { broker: 2, api: ApiKey::PRODUCE, client_id: Some("c"), about: &about };
    for (fault, expected) in [
        (lost(), true),
        (lost().api(ApiKey::PRODUCE), true),
        (lost().api(ApiKey::FETCH), false),
        (lost().broker(2), true),
        (lost().broker(1), false),
        (lost().client_id("c"), true),
        (lost().client_id("d"), false),
        (lost().topic("t"), true),
        (lost().topic("v"), false),
        (lost().topic("t").partition(1), true),
        (lost().topic("t").partition(0), false),
        (lost().topic("u").partition(0), true),
        (lost().partition(1), true),
        (lost().api(ApiKey::PRODUCE).broker(2).client_id("c").topic("t").partition(1), true),
        (lost().api(ApiKey::PRODUCE).broker(1).client_id("c").topic("t").partition(1), false),
    ] {
        assert_eq!(fault.is_for(&case), expected, "{fault:?}");
    }
}

#[test]
fn the_byte_is_that_of_the_first_records_that_have_it() {
    let partition = |records: &'static [u8]| FetchPartitionResponse {
        records: Some(Bytes::from_static(records).into()),
        ..Default::default()
    };
    let partitions = vec![partition(b""), partition(b"ab"), partition(b"abcd")];
    let topic = FetchTopicResponse { partitions, ..Default::default() };
    let corrupted = |at| {
        let mut response: AnyResponse =
            FetchResponse { responses: vec![topic.clone()], ..Default::default() }.into();
        corrupt_records(&mut response, at);
        let AnyResponse::Fetch(fetched) = response else { panic!("another API") };
        let sets =
            fetched.responses[0].partitions.iter().map(|p| p.records.clone().unwrap().to_bytes().to_vec());
        sets.collect::<Vec<_>>()
    };
    assert_eq!(corrupted(1), [vec![], vec![b'a', !b'b'], b"abcd".to_vec()]);
    assert_eq!(corrupted(3), [vec![], b"ab".to_vec(), vec![b'a', b'b', b'c', !b'd']]);
    assert_eq!(corrupted(4), [vec![], b"ab".to_vec(), b"abcd".to_vec()]);
}
