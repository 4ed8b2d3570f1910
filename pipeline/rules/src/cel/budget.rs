//! What the CEL of one rule may cost. Everything that takes time or memory in proportion to its input is charged, what
//! makes values before it is done. Once it is used up it stays so: the rule has failed.

use super::value::CelError;

/// How many steps one rule may take.
pub(super) const STEPS_MAX: u32 = 100_000;
/// How many bytes of values one rule may make.
pub(super) const BYTES_MAX: usize = 1024 * 1024;
/// Reading so many bytes is a step.
const BYTES_A_STEP: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    steps: u32,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            steps: STEPS_MAX,
            bytes: BYTES_MAX,
        }
    }
}

impl Budget {
    /// Takes a step.
    pub(super) fn step(&mut self) -> Result<(), CelError> {
        self.steps(1)
    }

    /// Reads so many bytes.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), CelError> {
        let steps = u32::try_from(bytes / BYTES_A_STEP).unwrap_or(u32::MAX);
        self.steps(steps.saturating_add(1))
    }

    /// Makes a value of so many bytes.
    pub(super) fn make(&mut self, bytes: usize) -> Result<(), CelError> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or_default();
        left.ok_or(CelError::TooLarge)?;
        self.read(bytes)
    }

    fn steps(&mut self, steps: u32) -> Result<(), CelError> {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or_default();
        left.map(drop).ok_or(CelError::TooManySteps)
    }
}
