use super::*;
use crate::fingerprint::tests::record;

/// The start of a partition found as it was left.
pub(crate) fn start(number: i32, position: u64, landmark: Option<Fingerprint>) -> StartPoint {
    StartPoint {
        topic: "orders".to_owned(),
        number,
        settled: Extent {
            landmark,
            ..Extent::at(position)
        },
        kind: StartKind::AsLeft,
    }
}

/// Everything below `position` is settled, and the record before it is the landmark.
pub(crate) fn settled(position: u64) -> Extent {
    let last = record(position as i64 - 1, 7, "a");
    Extent {
        landmark: Some(Fingerprint::of(&last)),
        ..Extent::at(position)
    }
}

fn at(position: u64) -> Extent {
    Extent::at(position)
}

#[test]
fn the_last_settled_record_is_fetched_first() {
    let start = |settled: Extent| start(0, settled.position, settled.landmark);
    assert_eq!(start(settled(60)).fetched_from(), 59);
    assert_eq!(start(at(60)).fetched_from(), 60);
}

#[test]
fn what_is_settled_beyond_a_record_that_waits_is_read_again_as_it_was_committed() {
    let extent = Extent {
        beyond: Ranges::new(vec![61..70, 75..80]),
        ..settled(60)
    };
    let metadata = extent.metadata(METADATA_BYTES_MAX).unwrap();
    assert!(metadata.ends_with(" 1+9,5+5"), "{metadata}");
    assert_eq!(Extent::parse(60, Some(&metadata)), extent);
    let plain = settled(60).metadata(METADATA_BYTES_MAX).unwrap();
    assert_eq!(Extent::parse(60, Some(&plain)), settled(60));
    for other in [None, Some("ours"), Some("x 59 7 0 1+9")] {
        assert_eq!(Extent::parse(60, other), at(60), "{other:?}");
    }
    assert_eq!(at(60).metadata(METADATA_BYTES_MAX), None);
    assert_eq!(
        extent.metadata(0),
        Some(plain),
        "a broker that takes little"
    );
}
