//! From a name to addresses that may be connected to. The connection is made to exactly these, so a name that
//! means another address a moment later changes nothing.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::address::AddressFilter;

/// How many lookups of one sink run side by side: a name server that hangs must not hold all blocking threads.
const LOOKUPS_MAX: usize = 8;

/// Asks the system and keeps what the filter lets through.
#[derive(Clone)]
pub(crate) struct FilteringResolver {
    filter: Arc<AddressFilter>,
    lookups: Arc<Semaphore>,
}

impl FilteringResolver {
    pub(crate) fn new(filter: AddressFilter) -> Self {
        Self {
            filter: Arc::new(filter),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (filter, lookups) = (self.filter.clone(), self.lookups.clone());
        Box::pin(async move {
            let permit = lookups.acquire_owned().await?;
            // The thread goes on when the attempt is given up, so the permit stays with the thread.
            let lookup = spawn_blocking(move || {
                let _permit = permit;
                (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter)
            });
            let addresses = filter.keep(lookup.await??)?;
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no address").into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
