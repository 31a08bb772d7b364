-- Runs of remedies, one a key for good, and the ledger, which is only ever
-- appended to.

-- +goose Up
CREATE TABLE remedy_runs (
    id       TEXT   NOT NULL PRIMARY KEY,
    idem     TEXT   NOT NULL UNIQUE,
    incident TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    doc      TEXT   NOT NULL
);
CREATE INDEX remedy_runs_state ON remedy_runs (state);

CREATE TABLE remedy_ledger (
    seq      BIGINT NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    run      TEXT   NOT NULL,
    incident TEXT   NOT NULL,
    doc      TEXT   NOT NULL
);

-- +goose Down
DROP TABLE remedy_ledger;
DROP TABLE remedy_runs;
