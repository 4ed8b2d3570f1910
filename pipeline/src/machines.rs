//! The configured state machines by name, and the providers that their notices go to.

use std::collections::BTreeMap;
use std::sync::Arc;

use acteon_core::Secret;
use acteon_machines::{Machine, Notice};
use compact_str::{CompactString, format_compact};
use sha2::{Digest, Sha256};

/// All state machines by name.
#[derive(Clone, Debug, Default)]
pub struct Machines(BTreeMap<CompactString, Arc<Machine>>);

impl FromIterator<Machine> for Machines {
    fn from_iter<I: IntoIterator<Item = Machine>>(machines: I) -> Self {
        let named = machines
            .into_iter()
            .map(|machine| (machine.name().into(), Arc::new(machine)));
        Self(named.collect())
    }
}

impl Machines {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Machine>> {
        self.0.get(name)
    }

    /// The webhooks of all notices, each with the name of the provider that posts to it.
    pub fn webhooks(&self) -> BTreeMap<CompactString, Secret> {
        let machines = self.0.values();
        let urls = machines.flat_map(|machine| machine.webhooks());
        urls.map(|url| (webhook_provider(url), url.clone()))
            .collect()
    }
}

/// The name of the provider that posts to this URL. It does not show the URL, which may contain a token.
pub(crate) fn webhook_provider(url: &Secret) -> CompactString {
    let hash = Sha256::digest(url.expose().as_bytes());
    let short = hash
        .iter()
        .take(6)
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    format_compact!("webhook_url {short:012x}")
}

/// The providers that a notice goes to. `provider` is that of the report.
pub(crate) fn targets(notice: &Notice, provider: &str) -> Vec<CompactString> {
    let own = notice.to.notify.then(|| provider.into());
    let webhook = notice.to.webhook_url.as_ref().map(webhook_provider);
    own.into_iter().chain(webhook).collect()
}

/// The labels that a notice adds.
pub(crate) fn added_labels(notice: &Notice) -> Vec<(CompactString, CompactString)> {
    let pairs = notice.to.metadata.iter().flatten();
    pairs
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
        .collect()
}
