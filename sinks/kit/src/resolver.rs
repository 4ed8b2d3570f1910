//! Resolves a name to allowed addresses. The connection goes to exactly these, so a name that resolves to another
//! address a moment later changes nothing.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::address::AddressFilter;

/// The maximum number of concurrent lookups of one sink: a name server that hangs must not occupy all blocking threads.
const LOOKUPS_MAX: usize = 8;

/// Asks the system, and keeps the addresses that the filter allows.
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

impl FilteringResolver {
    /// The allowed addresses of a name, without a port; at least one.
    pub(crate) async fn addresses(
        &self,
        name: String,
    ) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        let permit = self.lookups.clone().acquire_owned().await?;
        // The thread continues when the attempt is dropped, so it holds the permit.
        let lookup = spawn_blocking(move || {
            let _permit = permit;
            (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter)
        });
        let addresses = self.filter.keep(lookup.await??)?;
        match addresses.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "no address").into()),
            false => Ok(addresses),
        }
    }
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str().to_owned()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
