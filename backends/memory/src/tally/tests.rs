use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn log() -> TallyLog {
    TallyLog::new(HashedKey { high: 1, low: 2 })
}

fn gaps() -> impl Strategy<Value = (u64, Vec<(bool, u64)>)> {
    // Windows that are and are not divisible by sixteen, and gaps around a part, the window, and far beyond it.
    let within = prop_oneof![Just(16 * SECOND), 1_u64..100, SECOND..SECOND + 50];
    within.prop_flat_map(|within| {
        let gap = prop_oneof![
            4 => Just(0),
            4 => 0..within / 8 + 2,
            2 => within.saturating_sub(2)..within + within / 8 + 2,
            1 => 0..10 * within,
        ];
        let steps = proptest::collection::vec((proptest::bool::weighted(0.7), gap), 1..200);
        (Just(within), steps)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_count_is_too_low_or_too_high_by_more_than_a_part((within, steps) in gaps()) {
        let mut log = log();
        let mut naive = Vec::new();
        let mut now = 7;
        let window = TallyWindow::new(within);
        for (notes, gap) in steps {
            now += gap;
            if notes {
                log.add(window, now);
                naive.push(now);
            }
            let inside = |length| naive.iter().filter(|at| now - **at < length).count() as u64;
            let tallied = log.read(window, now);
            let last = naive.last().map(|at| now - at).filter(|age| *age < within);
            prop_assert_eq!(tallied.last, last.map(Duration::from_nanos));
            prop_assert!(tallied.count >= inside(within), "{:?} at {}", log, now);
            prop_assert!(tallied.count <= inside(17 * window.part), "{:?} at {}", log, now);
            prop_assert_eq!(tallied.last.is_none(), tallied.count == 0);
            prop_assert!(log.counts.len() <= COUNTS_MAX);
            prop_assert!(log.heap_bytes() <= 4 * COUNTS_MAX, "{}", log.heap_bytes());
        }
    }
}

#[test]
fn the_longest_window_there_is_counts() {
    let mut log = log();
    let window = TallyWindow::new(u64::MAX);
    log.add(window, 5);
    log.add(window, 1 << 60);
    let tallied = log.read(window, 1 << 61);
    assert_eq!(tallied.count, 2);
    assert_eq!(tallied.last, Some(Duration::from_nanos(1 << 60)));
}

#[test]
fn a_part_that_is_full_stays_full() {
    let mut log = log();
    let window = TallyWindow::new(SECOND);
    log.add(window, 0);
    log.counts[0] = u32::MAX;
    log.add(window, 1);
    assert_eq!(log.read(window, 1).count, u64::from(u32::MAX));
}
