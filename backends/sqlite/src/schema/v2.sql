-- The state. Times are nanoseconds since 1970.

-- Leases and dedup keys. The token is the holder's; without one, the key was delivered.
CREATE TABLE holds (
    k BLOB PRIMARY KEY,
    token BLOB,
    until INTEGER NOT NULL
) STRICT;

-- How often something happened under a key, in the slots of its window: throttles, limits and tallies.
CREATE TABLE counts (
    k BLOB PRIMARY KEY,
    until INTEGER NOT NULL,
    slots BLOB NOT NULL
) STRICT;

-- The throttle places of holds that have not ended: when they were taken, and which quotas were full, as bits.
CREATE TABLE places (
    token BLOB PRIMARY KEY,
    until INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    full INTEGER NOT NULL
) STRICT;

-- Outcomes that are answered again, in the encoding of core. The oldest have the lowest row ids.
CREATE TABLE outcomes (
    k BLOB PRIMARY KEY,
    until INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- How many rows are kept, so that they need not be counted: all that counts towards the bound of keys, and outcomes;
-- of groups, the bytes.
CREATE TABLE levels (
    name TEXT PRIMARY KEY,
    kept INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO levels (name, kept, bytes) VALUES ('keys', 0, 0), ('outcomes', 0, 0), ('groups', 0, 0);

-- The dead letters. Their numbers are the times of storing, in nanoseconds since 1970. The columns of an action are
-- empty for poison.
CREATE TABLE letters (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    action_type TEXT NOT NULL,
    code TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    -- The whole letter in the encoding of core.
    body BLOB NOT NULL
) STRICT;

CREATE INDEX letters_kind ON letters (kind, number, bytes);

-- How many letters of each kind are kept, so that they need not be counted.
CREATE TABLE letter_levels (
    kind TEXT PRIMARY KEY,
    kept INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    refused INTEGER NOT NULL
) STRICT;

INSERT INTO letter_levels (kind, kept, bytes, refused) VALUES ('poison', 0, 0, 0), ('exhausted', 0, 0, 0);

CREATE TRIGGER letter_stored AFTER INSERT ON letters BEGIN
    UPDATE letter_levels SET kept = kept + 1, bytes = bytes + new.bytes WHERE kind = new.kind;
END;

CREATE TRIGGER letter_deleted AFTER DELETE ON letters BEGIN
    UPDATE letter_levels SET kept = kept - 1, bytes = bytes - old.bytes, refused = 0 WHERE kind = old.kind;
END;

CREATE TRIGGER letter_changed AFTER UPDATE OF bytes ON letters BEGIN
    UPDATE letter_levels SET bytes = bytes - old.bytes + new.bytes WHERE kind = new.kind;
END;

-- The rules that an operator has enabled or disabled.
CREATE TABLE toggles (
    name TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL
) STRICT;

-- Events. While an event is active, `until` is the greatest number. `newest` is the complement of the time of the last
-- write, so that a listing rises by all of its columns. The token is that of the hold that wrote the version.
CREATE TABLE events (
    k BLOB PRIMARY KEY,
    until INTEGER NOT NULL,
    version INTEGER NOT NULL,
    token BLOB NOT NULL,
    newest INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    tenant TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    event_type TEXT NOT NULL,
    state TEXT NOT NULL,
    -- The labels and fingerprint fields: a JSON array of pairs of name and value.
    carried TEXT NOT NULL,
    -- The whole record in the encoding of core.
    body BLOB NOT NULL
) STRICT;

CREATE INDEX events_newest ON events (newest, namespace, tenant, fingerprint);
CREATE INDEX events_namespace ON events (namespace, newest, tenant, fingerprint);
CREATE INDEX events_tenant ON events (tenant, newest, namespace, fingerprint);

CREATE TRIGGER event_forgotten AFTER DELETE ON events BEGIN
    DELETE FROM timers WHERE id = old.k;
END;

-- What active events are found by: their types, and the types with each value, under its name and under any.
CREATE TABLE event_entries (
    event BLOB NOT NULL,
    entry BLOB NOT NULL,
    UNIQUE (event, entry)
) STRICT;

CREATE INDEX event_entries_entry ON event_entries (entry);

-- Entries of events that have ended. They are kept for the longest grace after the end of the last one.
CREATE TABLE event_ends (
    k BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;

-- What is due, and when. The id is the key of a group or an event; its kind is a part of it. While work is held, the
-- token is the holder's, and it falls due again when the lease ends.
CREATE TABLE timers (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    due INTEGER NOT NULL,
    token BLOB
) STRICT;

-- Of equal times, the row ids keep the order.
CREATE INDEX timers_due ON timers (due);
CREATE INDEX timers_token ON timers (token) WHERE token IS NOT NULL;

-- The groups of each key, by number: the one that takes members, the one whose summary is not delivered, the one closed
-- last. `early_seals` has the times, of eight bytes each, at which groups were sealed because of their size.
CREATE TABLE group_keys (
    k BLOB PRIMARY KEY,
    key TEXT NOT NULL,
    open INTEGER,
    sealed INTEGER,
    closed INTEGER,
    quiet_until INTEGER,
    early_seals BLOB NOT NULL
) STRICT;

CREATE INDEX group_keys_key ON group_keys (key);

-- Groups. `interval` is absent if the group has a fixed time, and `until` until it is closed.
CREATE TABLE groups (
    number INTEGER PRIMARY KEY,
    k BLOB NOT NULL,
    id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    tenant TEXT NOT NULL,
    rule TEXT NOT NULL,
    key TEXT NOT NULL,
    status TEXT NOT NULL,
    size INTEGER NOT NULL,
    omitted INTEGER NOT NULL,
    size_max INTEGER NOT NULL,
    interval INTEGER,
    opened_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    settings BLOB NOT NULL,
    note BLOB NOT NULL,
    -- What it takes of the bound, and the part of the listed bodies.
    bytes INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL,
    -- Who closed it, or released it last.
    ended_by BLOB,
    until INTEGER
) STRICT;

CREATE INDEX groups_id ON groups (id);
CREATE INDEX groups_namespace ON groups (namespace, id);
CREATE INDEX groups_tenant ON groups (tenant, id);
CREATE INDEX groups_until ON groups (until) WHERE until IS NOT NULL;

-- The listed members, until their group is closed. A number is the group's times 2^32, and the member's place.
CREATE TABLE members (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- The ids of all members, until their group is forgotten. Numbers as above.
CREATE TABLE joined (
    number INTEGER PRIMARY KEY,
    k BLOB NOT NULL UNIQUE
) STRICT;
