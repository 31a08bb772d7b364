-- One text for SQLite and PostgreSQL: types that both understand, documents as
-- JSON in text (jsonb would refuse NUL characters), times in Unix ms.

-- +goose Up
CREATE TABLE incidents (
    id      TEXT   NOT NULL PRIMARY KEY,
    state   TEXT   NOT NULL,
    onset   BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    doc     TEXT   NOT NULL
);
CREATE INDEX incidents_onset ON incidents (onset);
CREATE INDEX incidents_updated ON incidents (updated);

CREATE TABLE anomalies (
    id    TEXT   NOT NULL PRIMARY KEY,
    onset BIGINT NOT NULL,
    until BIGINT NOT NULL, -- the largest number while it lasts
    doc   TEXT   NOT NULL
);
CREATE INDEX anomalies_onset ON anomalies (onset);
CREATE INDEX anomalies_until ON anomalies (until);

CREATE TABLE changes (
    id  TEXT   NOT NULL PRIMARY KEY,
    at  BIGINT NOT NULL,
    doc TEXT   NOT NULL
);
CREATE INDEX changes_at ON changes (at);

CREATE TABLE alerts (
    id     TEXT   NOT NULL PRIMARY KEY, -- fingerprint
    starts BIGINT NOT NULL,
    until  BIGINT NOT NULL, -- the largest number while it fires
    doc    TEXT   NOT NULL
);
CREATE INDEX alerts_until ON alerts (until);

CREATE TABLE edges (
    src       TEXT   NOT NULL, -- kind/name of the dependent entity
    dst       TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    last_seen BIGINT NOT NULL,
    doc       TEXT   NOT NULL,
    PRIMARY KEY (src, dst, kind)
);
CREATE INDEX edges_last_seen ON edges (last_seen);

CREATE TABLE blobs (
    id   TEXT  NOT NULL PRIMARY KEY,
    data BYTEA NOT NULL
);

-- +goose Down
DROP TABLE blobs;
DROP TABLE edges;
DROP TABLE alerts;
DROP TABLE changes;
DROP TABLE anomalies;
DROP TABLE incidents;
