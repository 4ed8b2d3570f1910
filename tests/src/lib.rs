//! End to end: the real binary against real services

#[cfg(test)]
mod harness;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod spine;
