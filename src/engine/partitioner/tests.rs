use super::*;

const TEN: [i32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// A share of 100 bytes.
#[derive(Default)]
struct Yard {
    load: Load,
}

impl Ground for Yard {
    fn share(&self) -> usize {
        100
    }

    fn load(&self) -> Load {
        self.load.clone()
    }
}

fn record(key: Option<&[u8]>) -> Unplaced<'_> {
    Unplaced::new("orders", key, Some(b"value"), 10, &TEN)
}

/// `org.apache.kafka.common.utils.UtilsTest.testMurmur2`.
#[test]
fn murmur2_is_java_s() {
    for (key, hash) in [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
    }
}

/// The unit test of librdkafka's `rdfnv1a.c`, whose values are those of Go's `hash/fnv`.
#[test]
fn fnv1a_is_librdkafka_s() {
    for (key, hash) in [
        ("kafka", 0x0d33_c4e1),
        ("giberish123456789", 0x77a5_8295),
        ("1234", 0x023b_dd03),
        ("234", 0x2dea_3cd2),
        ("34", 0x740f_a83e),
        ("4", 0x310c_a263),
        ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x65cb_d69c),
        ("", 0x7ee3_623b),
    ] {
        assert_eq!(fnv1a(key.as_bytes()), hash, "{key}");
    }
}

/// librdkafka's test 0048: what each of its partitioners makes of five keys; `None` is "wherever".
#[test]
fn librdkafka_s_partitioners_agree_with_librdkafka() {
    const LONG: &str = "this is another string with more length to it perhaps";
    let keys = [None, Some(""), Some("23456"), Some(LONG), Some("hejsan")];
    const CRC32: [u32; 3] = [0xb1b4_51d7, 0xb015_0df7, 0xd077_037e];
    const MURMUR2: [u32; 4] = [0x106e_08d9, 0x058d_780f, 0x4f77_03da, 0x5ec1_9395];
    const FNV1A: [u32; 4] = [0x7ee3_623b, 0x27e6_f469, 0x155e_3e5f, 0x17b1_e27a];
    let some = |hashes: &[u32]| hashes.iter().copied().map(Some).collect::<Vec<_>>();
    let rows = [
        (BuiltIn::Random, vec![None; 5]),
        (BuiltIn::Consistent, [some(&[0, 0]), some(&CRC32)].concat()),
        (BuiltIn::ConsistentRandom, [vec![None; 2], some(&CRC32)].concat()),
        (BuiltIn::Murmur2, [some(&MURMUR2[..1]), some(&MURMUR2)].concat()),
        (BuiltIn::Murmur2Random, [vec![None], some(&MURMUR2)].concat()),
        (BuiltIn::Fnv1a, [some(&FNV1A[..1]), some(&FNV1A)].concat()),
        (BuiltIn::Fnv1aRandom, [vec![None], some(&FNV1A)].concat()),
    ];
    let available: Vec<i32> = (0..17).collect();
    for (partitioner, expected) in rows {
        for (key, hash) in keys.into_iter().zip(expected) {
            let record = Unplaced::new("t", key.map(str::as_bytes), None, 17, &available);
            let choice = partitioner.choose(&record);
            match hash {
                Some(hash) => {
                    assert_eq!(choice, Choice::Partition((hash % 17) as i32), "{partitioner:?} {key:?}")
                }
                None => assert!(matches!(choice, Choice::Random | Choice::Sticky), "{partitioner:?} {key:?}"),
            }
        }
    }
}

#[test]
fn the_default_hashes_keys_as_java_and_lets_the_rest_stick() {
    let partition = |key: &[u8]| BuiltIn::Default.choose(&record(Some(key)));
    assert_eq!(partition(b"abc"), Choice::Partition(479_470_107 % 10));
    assert_eq!(partition(b"foobar"), Choice::Partition((-790_332_482_i32 & 0x7fff_ffff) % 10));
    assert_eq!(partition(b""), Choice::Partition(0x106e_08d9 % 10), "an empty key is a key");
    assert_eq!(BuiltIn::Default.choose(&record(None)), Choice::Sticky);
    assert_eq!(BuiltIn::IgnoreKeys.choose(&record(Some(b"abc"))), Choice::Sticky);
}

#[test]
fn a_key_stays_where_it_was_when_leaders_are_missing() {
    let whole = BuiltIn::Default.choose(&record(Some(b"abc")));
    let partial = BuiltIn::Default.choose(&Unplaced::new("orders", Some(b"abc"), None, 10, &[1, 2]));
    assert_eq!(whole, partial);
}

#[test]
fn a_partition_that_the_topic_lacks_is_no_place() {
    let (mut spread, mut rng) = (Spread::default(), fastrand::Rng::with_seed(1));
    let mut place = |choice| spread.place(choice, &record(None), &Yard::default(), &mut rng);
    assert_eq!(place(Choice::Partition(9)), Some(9));
    assert_eq!(place(Choice::Partition(10)), None);
    assert_eq!(place(Choice::Partition(-1)), None);
    let nothing = Unplaced::new("orders", None, None, 0, &[]);
    assert_eq!(spread.place(Choice::Sticky, &nothing, &Yard::default(), &mut rng), None);
}

#[test]
fn in_turn_visits_each_partition_that_has_a_leader() {
    let (mut spread, mut rng) = (Spread::default(), fastrand::Rng::with_seed(1));
    let record = Unplaced::new("orders", None, None, 5, &[0, 2, 4]);
    let mut next = || spread.place(Choice::InTurn, &record, &Yard::default(), &mut rng);
    assert_eq!([next(), next(), next(), next()], [Some(0), Some(2), Some(4), Some(0)]);
}

#[test]
fn sticky_keeps_to_a_partition_until_it_had_its_share_and_its_batch_is_done() {
    let (mut spread, mut rng) = (Spread::default(), fastrand::Rng::with_seed(7));
    let mut place = |spread: &mut Spread| {
        spread.place(Choice::Sticky, &record(None), &Yard::default(), &mut rng).unwrap()
    };
    let first = place(&mut spread);
    spread.appended(first, 99);
    spread.taken(first);
    for _ in 0..20 {
        assert_eq!(place(&mut spread), first, "its share is not full");
    }
    spread.appended((first + 1) % 10, 1000);
    spread.appended(first, 1);
    spread.taken((first + 1) % 10);
    for _ in 0..20 {
        assert_eq!(place(&mut spread), first, "its batch still fills");
    }
    spread.taken(first);
    let mut next = Vec::new();
    for _ in 0..20 {
        let mut spread = spread.clone();
        next.push(place(&mut spread));
    }
    assert!(next.iter().any(|partition| *partition != first), "drawn anew: {next:?}");
}

#[test]
fn sticky_moves_on_when_it_had_the_most_whatever_its_batch_does() {
    let mut rng = fastrand::Rng::with_seed(7);
    let filling = Yard { load: Load::of_queues(&[(3, 0)]) };
    let mut spread = Spread::default();
    assert_eq!(spread.place(Choice::Sticky, &record(None), &filling, &mut rng), Some(3));
    let filling = Yard { load: Load::of_queues(&[(4, 0)]) };
    spread.appended(3, 199);
    assert_eq!(spread.place(Choice::Sticky, &record(None), &filling, &mut rng), Some(3));
    spread.opened(3, 300);
    spread.appended(3, 100);
    assert_eq!(spread.place(Choice::Sticky, &record(None), &filling, &mut rng), Some(3));
    spread.appended(3, 1);
    assert_eq!(spread.place(Choice::Sticky, &record(None), &filling, &mut rng), Some(4));
    spread.appended(4, 200);
    let filling = Yard { load: Load::of_queues(&[(5, 0)]) };
    let next = spread.place(Choice::Sticky, &record(None), &filling, &mut rng);
    assert_eq!(next, Some(5), "at twice its share, when nobody says otherwise");
}

#[test]
fn sticky_leaves_a_partition_whose_leader_is_gone() {
    let (mut spread, mut rng) = (Spread::default(), fastrand::Rng::with_seed(7));
    let first = spread.place(Choice::Sticky, &record(None), &Yard::default(), &mut rng).unwrap();
    let others: Vec<i32> = (0..10).filter(|partition| *partition != first).collect();
    let without = Unplaced::new("orders", None, None, 10, &others);
    let next = spread.place(Choice::Sticky, &without, &Yard::default(), &mut rng).unwrap();
    assert_ne!(next, first);

    let nobody = Unplaced::new("orders", None, None, 10, &[]);
    let stays = spread.place(Choice::Sticky, &nobody, &Yard::default(), &mut rng);
    assert_eq!(stays, Some(next), "with no leader at all, records queue where they were");
}

#[test]
fn the_load_table_prefers_short_queues_in_java_s_proportion() {
    // Weights: longest queue (3) + 1 - own queue = 4, 1, 3.
    let load = Yard { load: Load::of_queues(&[(0, 0), (5, 3), (9, 1)]) };
    let mut rng = fastrand::Rng::with_seed(3);
    let mut hits = [0u32; 10];
    for _ in 0..8000 {
        let place = Spread::default().place(Choice::Sticky, &record(None), &load, &mut rng).unwrap();
        hits[usize::try_from(place).unwrap()] += 1;
    }
    let near = |hits: u32, expected: u32| hits.abs_diff(expected) < 250;
    assert!(near(hits[0], 4000) && near(hits[5], 1000) && near(hits[9], 3000), "{hits:?}");
    assert_eq!(hits.iter().sum::<u32>(), 8000);
}

#[test]
fn a_load_table_of_another_time_is_not_obeyed() {
    let load = Yard { load: Load::of_queues(&[(42, 0)]) };
    let mut rng = fastrand::Rng::with_seed(3);
    let place = Spread::default().place(Choice::Sticky, &record(None), &load, &mut rng).unwrap();
    assert!((0..10).contains(&place));
}
