-- Silences. Times are nanoseconds since 1970. The action type is the only one that a silence withholds, or `*`.
CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    tenant TEXT NOT NULL,
    action_type TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    -- The whole silence in the encoding of core.
    body BLOB NOT NULL
) STRICT;

CREATE INDEX silences_tenant ON silences (tenant, id);
CREATE INDEX silences_namespace ON silences (namespace, id);
CREATE INDEX silences_live ON silences (namespace, tenant) WHERE finished = 0;
CREATE INDEX silences_finished ON silences (namespace, tenant, ends_at, id) WHERE finished = 1;
CREATE INDEX silences_ended ON silences (ends_at) WHERE finished = 1;

-- How many writes of silences there were.
CREATE TABLE silence_writes (
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO silence_writes (revision) VALUES (0);
