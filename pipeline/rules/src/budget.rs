//! What the CEL of one rule may still cost. Everything whose time or memory grows with its input is charged; a new
//! value is charged before it is created. A budget that is used up stays used up: the rule has failed.

use crate::fault::{CEL_BYTES_MAX, CEL_STEPS_MAX, CelError};

/// Reading this many bytes costs one step.
const BYTES_PER_STEP: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    steps: u32,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            steps: CEL_STEPS_MAX,
            bytes: CEL_BYTES_MAX,
        }
    }
}

impl Budget {
    /// Charges one step.
    pub(crate) fn step(&mut self) -> Result<(), CelError> {
        self.steps(1)
    }

    /// Charges reading this many bytes.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<(), CelError> {
        let steps = u32::try_from(bytes / BYTES_PER_STEP).unwrap_or(u32::MAX);
        self.steps(steps.saturating_add(1))
    }

    /// Charges creating a value of this many bytes.
    pub(crate) fn make(&mut self, bytes: usize) -> Result<(), CelError> {
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
