-- One row: the version of the tables, the lowest version that a binary must know to use them, and when the last probe
-- of a file that refused writes was made.
CREATE TABLE schema (
    version INTEGER NOT NULL,
    min_binary INTEGER NOT NULL,
    probed_at INTEGER NOT NULL
) STRICT;

-- The audit trail. Times are nanoseconds since 1970. An index for each filter has the order of a listing.
CREATE TABLE audit (
    id BLOB NOT NULL,
    dispatched_at INTEGER NOT NULL,
    expires_at INTEGER,
    action_id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    action_type TEXT NOT NULL,
    outcome TEXT NOT NULL COLLATE NOCASE,
    verdict TEXT NOT NULL COLLATE NOCASE,
    matched_rule TEXT,
    caller_id TEXT,
    -- The other fields, as JSON with its version.
    body TEXT NOT NULL,
    payload TEXT
) STRICT;

CREATE UNIQUE INDEX audit_id ON audit (id);
CREATE INDEX audit_expires_at ON audit (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX audit_time ON audit (dispatched_at, id);
CREATE INDEX audit_action_id ON audit (action_id, dispatched_at, id);
CREATE INDEX audit_namespace ON audit (namespace, dispatched_at, id);
CREATE INDEX audit_tenant ON audit (tenant, dispatched_at, id);
CREATE INDEX audit_provider ON audit (provider, dispatched_at, id);
CREATE INDEX audit_action_type ON audit (action_type, dispatched_at, id);
CREATE INDEX audit_outcome ON audit (outcome, dispatched_at, id);
CREATE INDEX audit_verdict ON audit (verdict, dispatched_at, id);
CREATE INDEX audit_matched_rule ON audit (matched_rule, dispatched_at, id) WHERE matched_rule IS NOT NULL;
CREATE INDEX audit_caller_id ON audit (caller_id, dispatched_at, id) WHERE caller_id IS NOT NULL;
