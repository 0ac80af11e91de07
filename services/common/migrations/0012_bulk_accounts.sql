-- Test accounts that `kuji users create` makes: how far it is with each prefix, written in the
-- transaction that makes them, so that the command goes on where it was broken off.
CREATE TABLE bulk_accounts (
    prefix         text PRIMARY KEY,
    created        bigint NOT NULL DEFAULT 0,  -- names prefix || 1 … prefix || created
    password_hash  text NOT NULL               -- of all of them
);
