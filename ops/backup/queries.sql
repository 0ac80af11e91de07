-- What a backup and its way back ask Postgres.

-- name: export_snapshot()$
-- What pg_dump is to see, too.
SELECT pg_export_snapshot();

-- name: facts()^
SELECT clock.now AS made_at,
       current_setting('server_version_num')::integer AS server,
       (SELECT max(name) FROM schema_migrations) AS schema_name,
       (SELECT count(*) FROM users) AS users,
       (SELECT coalesce(sum(draws), 0)::bigint FROM pools) AS records
FROM (SELECT now()) AS clock (now);

-- name: server_version()$
SELECT current_setting('server_version_num')::integer;

-- name: pools()
SELECT pools.id AS pool_id, encode(seed_commitment, 'hex') AS commitment, recorded_seq,
       greatest(recorded_seq, coalesce(seq, 0)) AS mark_seq, draws
FROM pools
LEFT JOIN pool_marks ON pool_id = id
ORDER BY id;

-- name: tables()
SELECT relname AS name, pg_table_size(oid) AS bytes
FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY relname;

-- name: has_tables()$
SELECT EXISTS (
    SELECT FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
);

-- name: is_ours()$
SELECT to_regclass('public.pools') IS NOT NULL AND to_regclass('public.users') IS NOT NULL;

-- name: holds_data()$
-- Somebody's work: more than what the first start makes.
SELECT EXISTS (SELECT FROM pools) OR EXISTS (SELECT FROM users WHERE role = 'user');

-- name: others(own)
-- Who else is in this database, but for the server's own.
SELECT coalesce(nullif(application_name, ''), usename::text, 'somebody') AS who, count(*) AS number
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> :own
GROUP BY who
ORDER BY who;

-- name: raise_marks(pool_ids, seqs, clocks_us)!
-- What files of this machine know to have been answered.
INSERT INTO pool_marks AS known (pool_id, seq, clock_us, reserved_seq, run_id, witness)
SELECT pool_id, seq, clock_us, seq, '', ''
FROM unnest(:pool_ids::bigint[], :seqs::bigint[], :clocks_us::bigint[])
    AS mark (pool_id, seq, clock_us)
JOIN pools ON pools.id = pool_id
ON CONFLICT (pool_id) DO UPDATE
SET seq = greatest(known.seq, excluded.seq),
    clock_us = greatest(known.clock_us, excluded.clock_us),
    reserved_seq = greatest(known.reserved_seq, excluded.seq);
