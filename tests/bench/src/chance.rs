//! Pseudo-random numbers that are the same in every run.

/// A pseudo-random fraction from 0 up to 1 for each number (SplitMix64).
pub(crate) fn fraction(number: u64) -> f64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_four_numbers_lie_below_three_quarters() {
        let below = (0..10_000).filter(|n| fraction(*n) < 0.75).count();
        assert!((7_400..7_600).contains(&below), "{below}");
    }
}
