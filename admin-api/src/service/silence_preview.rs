//! What a silence would have withheld in the last day: a walk over the newest records of the audit trail.

use std::collections::HashSet;

use acteon_core::AuditRecord;
use acteon_core::audit::{AuditFilter, AuditQuery, PageStart};
use acteon_core::silence::{EVERY_NAME, SilenceSubject, only_action_type};
use acteon_core::silence_admin::{NewSilence, SilencePreview};
use acteon_core::state::SUMMARY_STREAM;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use tokio::task::yield_now;

use super::changes::SOURCE;
use super::silences::refused;
use super::{Access, AdminApi, AdminError};

/// The span whose records are examined.
const SPAN: SignedDuration = SignedDuration::from_hours(24);
/// The most records that are examined.
const EXAMINED_MAX: usize = 10_000;
/// The records of one query.
const PAGE: usize = 1000;
/// The records that are matched before other tasks have a turn.
const BEFORE_YIELD: usize = 64;
/// The most examples.
const EXAMPLES_MAX: usize = 5;

/// What a silence would have withheld.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviewResult {
    /// The actions that it would have withheld.
    pub matched: u64,
    /// The actions that were examined.
    pub examined: u64,
    /// Whether there are more, older ones.
    pub truncated: bool,
    /// The ids of some that it would have withheld, the newest first.
    pub examples: Vec<CompactString>,
}

impl AdminApi {
    /// Counts the actions of the last day that a silence would have withheld, among the newest 10,000 records that the
    /// caller may see. Nothing is created.
    ///
    /// # Errors
    /// The silence could not be created, the audit trail is disabled, or a backend cannot be reached.
    pub async fn preview_silence(
        &self,
        access: &Access,
        asked: &NewSilence,
    ) -> Result<PreviewResult, AdminError> {
        let silences = &self.ports.silences;
        let preview = silences.preview(&access.scope, asked).await;
        let preview = preview.map_err(|error| refused(error, ""))?;
        let mut query = past(access, asked, self.ports.silences.now().await?);
        let mut past_actions = PastActions::default();
        let mut left = EXAMINED_MAX;
        loop {
            query.limit = left.min(PAGE);
            let page = self.audit(&query).await?;
            left = left.saturating_sub(page.records.len());
            for records in page.records.chunks(BEFORE_YIELD) {
                for record in records {
                    past_actions.examine(record, &*preview);
                }
                yield_now().await;
            }
            match page.next {
                None => return Ok(past_actions.result()),
                Some(_) if left == 0 => {
                    return Ok(PreviewResult {
                        truncated: true,
                        ..past_actions.result()
                    });
                }
                Some(next) => query.start = PageStart::After(next),
            }
        }
    }
}

/// The namespace, the tenant and the id of an action.
type ActionName = (CompactString, CompactString, CompactString);

/// The actions of the records that were examined. One may have several records: a member of a group that a silence left
/// out has one of its joining and one of the flush.
#[derive(Default)]
struct PastActions {
    examined: HashSet<ActionName>,
    matched: HashSet<ActionName>,
    /// The ids of the first that matched.
    examples: Vec<CompactString>,
}

impl PastActions {
    fn examine(&mut self, record: &AuditRecord, preview: &dyn SilencePreview) {
        if !is_of_action(&record.source.stream) {
            return;
        }
        let subject = &record.subject;
        let name = (
            subject.namespace.clone(),
            subject.tenant.clone(),
            subject.action_id.clone(),
        );
        let past = SilenceSubject {
            namespace: &subject.namespace,
            tenant: &subject.tenant,
            provider: &subject.provider,
            action_type: &subject.action_type,
            labels: &record.metadata,
        };
        self.examined.insert(name.clone());
        let is_new = preview.matches(&past) && self.matched.insert(name);
        if is_new && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(subject.action_id.clone());
        }
    }

    fn result(self) -> PreviewResult {
        PreviewResult {
            matched: self.matched.len() as u64,
            examined: self.examined.len() as u64,
            truncated: false,
            examples: self.examples,
        }
    }
}

/// False for the records of operators' changes and of summaries, which no silence withholds.
fn is_of_action(stream: &str) -> bool {
    let origin = stream.strip_prefix("replay:").unwrap_or(stream);
    stream != SOURCE && !origin.starts_with(SUMMARY_STREAM)
}

/// The records of the last day that the silence may match.
fn past(access: &Access, asked: &NewSilence, now: Timestamp) -> AuditQuery {
    let exact = |name: &CompactString| (name != EVERY_NAME).then(|| name.clone());
    AuditQuery {
        scope: access.scope.clone(),
        filter: AuditFilter {
            namespace: exact(&asked.namespace),
            tenant: exact(&asked.tenant),
            action_type: only_action_type(&asked.matchers).map(Into::into),
            from: now.checked_sub(SPAN).ok(),
            ..AuditFilter::default()
        },
        start: PageStart::Offset(0),
        limit: PAGE,
    }
}
