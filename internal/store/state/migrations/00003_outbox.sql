-- What people are told: the outbox and what has been told of each incident.

-- +goose Up
CREATE TABLE deliveries (
    id       TEXT   NOT NULL PRIMARY KEY, -- idempotency key
    receiver TEXT   NOT NULL,
    incident TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    doc      TEXT   NOT NULL
);
CREATE INDEX deliveries_state ON deliveries (state, receiver, created);
CREATE INDEX deliveries_incident ON deliveries (incident, created);
CREATE INDEX deliveries_created ON deliveries (created);

CREATE TABLE notices (
    id      TEXT   NOT NULL PRIMARY KEY, -- incident
    updated BIGINT NOT NULL,
    doc     TEXT   NOT NULL
);

-- +goose Down
DROP TABLE notices;
DROP TABLE deliveries;
