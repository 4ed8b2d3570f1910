//! Random mutations of an input, reproducible by seed, for the ordinary tests, which no fuzzer guides.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The longest mutated input.
const BYTES_MAX: usize = 64 << 10;
/// The longest piece moved in one mutation.
const PIECE_BYTES_MAX: usize = 48;

/// A source of mutations.
#[derive(Debug)]
pub struct Mutation<'p> {
    random: StdRng,
    pieces: &'p [Vec<u8>],
}

impl<'p> Mutation<'p> {
    /// Mutations determined by `seed`; `pieces` may be inserted besides parts of the input.
    pub fn new(seed: u64, pieces: &'p [Vec<u8>]) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { random, pieces }
    }

    /// One of `inputs` with a few mutations, some of them pieces of another input.
    pub fn next(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one_of(inputs).to_vec();
        for _ in 0..self.random.random_range(1..6) {
            self.change(&mut input, inputs);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.random.random_range(0..=input.len());
        let piece = self.random.random_range(0..=PIECE_BYTES_MAX);
        let end = (at + piece).min(input.len());
        match self.random.random_range(0..7) {
            0 => drop(input.drain(at..end)),
            1 => {
                let copied = input[at..end].to_vec();
                let times = 1 << self.random.random_range(0..8);
                let room = BYTES_MAX.saturating_sub(input.len());
                let repeated = copied.repeat(times);
                input.splice(at..at, repeated.into_iter().take(room));
            }
            2 => {
                let other = self.one_of(inputs);
                let start = self.random.random_range(0..=other.len());
                let taken = &other[start..(start + piece * 4).min(other.len())];
                input.splice(at..end, taken.iter().copied());
            }
            3 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
            4 => input.truncate(at),
            _ => {
                let piece = self.one_of(self.pieces);
                input.splice(at..at, piece.iter().copied());
            }
        }
    }

    fn one_of<'a>(&mut self, all: &'a [Vec<u8>]) -> &'a [u8] {
        match all.len() {
            0 => &[],
            many => &all[self.random.random_range(0..many)],
        }
    }
}
