use super::*;

fn counted(times: &[i64], width: i64) -> SlotCounts {
    let mut counts = SlotCounts::default();
    times.iter().for_each(|at| counts.add(*at, width));
    counts
}

#[test]
fn counts_come_back_from_their_bytes() {
    let counts = counted(&[-5, 3, 3, 1_800_000_000_000_000_000], 1);
    let bytes = counts.to_bytes();
    assert_eq!(bytes.len(), 3 * SLOT_BYTES);
    assert_eq!(SlotCounts::read(&bytes), counts);
    assert_eq!(SlotCounts::read(&[]), SlotCounts::default());
    assert_eq!(
        SlotCounts::read(&bytes[..20]).total(),
        1,
        "the rest is left out"
    );
}

#[test]
fn a_slot_counts_as_a_whole_until_its_last_has_left() {
    let mut counts = counted(&[0, 4, 9, 10], 10);
    counts.leave(100, 108);
    assert_eq!(counts.total(), 4);
    counts.leave(100, 109);
    assert_eq!((counts.total(), counts.last()), (1, Some(10)));
    counts.leave(100, 110);
    assert_eq!((counts.total(), counts.last()), (0, None));
}

#[test]
fn one_that_failed_is_taken_back_from_the_slot_it_is_in() {
    let mut counts = counted(&[1, 11, 12, 25], 10);
    counts.take_back(11, 10);
    assert_eq!(counts, counted(&[1, 12, 25], 10));
    counts.take_back(1, 10);
    assert_eq!(counts, counted(&[12, 25], 10));
    for left in [1, 30] {
        counts.take_back(left, 10);
        assert_eq!(counts.total(), 2, "it no longer counts");
    }
}

#[test]
fn the_wait_is_until_enough_slots_have_left() {
    let counts = counted(&[0, 10, 10, 20], 1);
    let wait = |max_count, wanted| counts.wait(max_count, 100, wanted, 50);
    assert_eq!(wait(5, 1), None);
    assert_eq!(wait(4, 1), Some(50));
    assert_eq!(wait(4, 2), Some(60));
    assert_eq!(wait(4, 3), Some(60));
    assert_eq!(wait(4, 4), Some(70));
    assert_eq!(wait(4, 5), Some(100), "never");
    assert_eq!(counts.wait(4, 100, 1, 200), Some(1), "never no time");
}

#[test]
fn a_clock_that_went_back_loses_no_count_and_keeps_the_order() {
    let mut counts = counted(&[50, 30, 60], 10);
    assert_eq!((counts.total(), counts.last()), (3, Some(60)));
    counts.leave(100, 150);
    assert_eq!(counts.total(), 1);
}

#[test]
fn small_quotas_are_exact_and_great_ones_have_64_slots() {
    assert_eq!([1, 64, 65].map(|max| quota_slot(max, 6400)), [1, 1, 100]);
    assert_eq!(quota_slot(1000, 5), 1);
    assert_eq!([tally_slot(160), tally_slot(3)], [10, 1]);
    let times: Vec<_> = (0..100_000).collect();
    let mut counts = counted(&times, quota_slot(1_000_000, 100_000));
    counts.leave(100_000, 99_999);
    assert!(counts.to_bytes().len() <= 66 * SLOT_BYTES);
}
