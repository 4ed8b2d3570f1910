//! What a batch does at one provider at the first go. It takes a place once and notes together what went well: threads
//! that deliver side by side would otherwise pull at the same memory with every action.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use futures_util::poll;

use super::flight::{self, Flight, Landed, Tower};
use super::{Begun, Next, Provider};
use crate::job::Job;
use crate::leases::Leases;

/// The visits of one batch. While it waits for a place in a queue there must be none.
#[derive(Default)]
pub(crate) struct Visits(Vec<Visit>);

impl Visits {
    pub(crate) fn at(&mut self, provider: &Arc<Provider>, leases: &Arc<Leases>) -> &mut Visit {
        let is_there = |visit: &Visit| Arc::ptr_eq(&visit.tower.provider, provider);
        let found = self.0.iter().position(is_there);
        let place = found.unwrap_or_else(|| {
            self.0.push(Visit::new(provider.clone(), leases.clone()));
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    /// Gives all places back.
    pub(crate) fn end(&mut self) {
        self.0.clear();
    }
}

/// At one provider. Dropping it gives back the place and notes what went well.
pub(crate) struct Visit {
    tower: Arc<Tower>,
    has_slot: bool,
    /// The last flight, when it landed at once: the next begins in its box.
    landed: Option<Flight>,
    /// How many attempts went well that are not noted yet.
    well: u32,
}

impl Visit {
    fn new(provider: Arc<Provider>, leases: Arc<Leases>) -> Self {
        Self {
            tower: Arc::new(Tower { provider, leases }),
            has_slot: false,
            landed: None,
            well: 0,
        }
    }

    /// Begins an attempt if it may begin now, and takes what a sink answers without waiting.
    pub(crate) async fn begin(&mut self, job: Box<Job>) -> Begun {
        let provider = &self.tower.provider;
        self.has_slot = self.has_slot || provider.take_slot();
        if !self.has_slot || provider.waiting.load(Relaxed) > 0 {
            return Begun::Later(job);
        }
        let Some(pass) = provider.ask_breaker() else {
            return Begun::Refused(job);
        };
        let flight = flight::fly(self.tower.clone(), job, pass);
        let mut flight = match self.landed.take() {
            Some(mut landed) => {
                landed.set(flight);
                landed
            }
            None => Flight::new(flight),
        };
        match poll!(&mut flight) {
            Poll::Pending => {
                self.has_slot = false;
                Begun::Flying(flight)
            }
            Poll::Ready(landed) => {
                self.landed = Some(flight);
                Begun::Landed(landed)
            }
        }
    }

    /// What follows from how an attempt ended at the first go.
    pub(crate) fn landed(&mut self, landed: Landed) -> Next {
        match landed.well_at_once() {
            Ok((job, response)) => {
                self.well += 1;
                Next::Ended(job.delivered(response))
            }
            Err(landed) => {
                self.note();
                self.tower.provider.landed(landed)
            }
        }
    }

    fn note(&mut self) {
        let well = std::mem::take(&mut self.well);
        if well > 0 {
            let provider = &self.tower.provider;
            provider.observed(|vitals| vitals.succeeded_at_once(well));
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.note();
        let provider = &self.tower.provider;
        if self.has_slot {
            provider.free_slot();
            if provider.waiting.load(Relaxed) > 0 {
                provider.slot_free.notify_one();
            }
        }
    }
}
