//! Messages and actions that wait. Messages that are read together share memory, which saves an allocation for each;
//! one that waits must not keep the memory of all the others. What may wait is a [`Parked`], which cannot be built
//! without giving up shared memory.

use std::ops::Deref;

use bytes::Bytes;

/// Messages up to this many bytes may share memory with others that were read together.
pub const SHARING_BYTES_MAX: usize = 4096;

/// Can give up memory that it shares with others.
pub trait Detach {
    /// Copies shared memory. Does nothing if there is none.
    fn detach(&mut self);
}

impl<T: Detach + ?Sized> Detach for Box<T> {
    fn detach(&mut self) {
        (**self).detach();
    }
}

impl Detach for Bytes {
    /// Copies bytes that are short enough to be shared.
    fn detach(&mut self) {
        if self.len() <= SHARING_BYTES_MAX {
            *self = Self::copy_from_slice(self);
        }
    }
}

/// A waiting value that shares its memory with no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked<T>(T);

impl<T: Detach> Parked<T> {
    /// Detaches `value`.
    pub fn new(mut value: T) -> Self {
        value.detach();
        Self(value)
    }
}

impl<T> Parked<T> {
    /// Ends the wait.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Parked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_bytes_are_copied_and_long_ones_are_not() {
        let block = Bytes::from(vec![7; SHARING_BYTES_MAX + 1]);
        let short = block.slice(..SHARING_BYTES_MAX);
        let parked = Parked::new(short.clone());
        assert_eq!(*parked, short);
        assert_ne!(parked.as_ptr(), short.as_ptr());
        assert_eq!(Parked::new(block.clone()).as_ptr(), block.as_ptr());
    }
}
