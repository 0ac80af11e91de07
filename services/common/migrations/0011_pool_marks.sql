-- How far the changes of each pool go that were answered, kept apart from Redis, so that no older
-- copy of it is used; and which draw ids are reserved, so that none is given twice.
CREATE TABLE pool_marks (
    pool_id       bigint PRIMARY KEY,          -- also of a pool whose row is not committed yet
    seq           bigint NOT NULL,             -- newest draw that was answered
    clock_us      bigint NOT NULL DEFAULT 0,   -- the pool's time at its newest change
    reserved_seq  bigint NOT NULL,             -- no draw has an id above it
    base_seq      bigint NOT NULL DEFAULT 0,   -- ids up to it were given up in a run of Redis
    run_id        text NOT NULL,               -- Redis's run that was judged without files
    witness       text NOT NULL                -- folder of files that knows every change; '': none
) WITH (fillfactor = 50);                      -- written several times a second
