-- The object index. It is the truth: a blob file that no row names is garbage.

CREATE TABLE buckets (
    name       TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    access     TEXT NOT NULL CHECK (access IN ('read-write', 'read-only'))
) STRICT, WITHOUT ROWID;

-- Immutable bytes, shared by an object and its copies. Ids are never reused (readers pin them).
CREATE TABLE contents (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    refs INTEGER NOT NULL CHECK (refs > 0),
    size INTEGER NOT NULL
) STRICT;

-- The blob files that make up a content, in order; one for a plain upload, one for each part of a multipart upload.
CREATE TABLE segments (
    content INTEGER NOT NULL REFERENCES contents (id),
    seq     INTEGER NOT NULL,
    blob    TEXT NOT NULL UNIQUE,
    size    INTEGER NOT NULL,
    PRIMARY KEY (content, seq)
) STRICT, WITHOUT ROWID;

-- Keys are compared as bytes, the order S3 lists in.
CREATE TABLE objects (
    bucket           TEXT NOT NULL REFERENCES buckets (name),
    key              BLOB NOT NULL,
    content          INTEGER NOT NULL REFERENCES contents (id),
    size             INTEGER NOT NULL,
    etag             TEXT NOT NULL,
    modified_ms      INTEGER NOT NULL,
    completed_upload TEXT,
    attributes       TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;

-- Upload ids begin with their time of creation, so (key, id) is also the order of initiation.
CREATE TABLE uploads (
    id           TEXT PRIMARY KEY,
    bucket       TEXT NOT NULL REFERENCES buckets (name),
    key          BLOB NOT NULL,
    initiated_ms INTEGER NOT NULL,
    checksum     TEXT,
    attributes   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_key ON uploads (bucket, key, id);

-- A part of an upload in progress. An empty part has no blob.
CREATE TABLE parts (
    upload      TEXT NOT NULL REFERENCES uploads (id),
    number      INTEGER NOT NULL CHECK (number BETWEEN 1 AND 10000),
    blob        TEXT UNIQUE,
    size        INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    checksum    TEXT,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
