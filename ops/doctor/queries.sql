-- What an examination asks Postgres.

-- name: confirmed_by_replica()
-- Activities and goods whose draws wait for a replica of Redis.
SELECT 'activity ' || id AS name
FROM activities
WHERE confirm = 'replica' AND activity_status(status, start_time, end_time, now()) <> 'ended'
UNION ALL
SELECT 'goods ' || id FROM goods WHERE confirm = 'replica' AND NOT is_ended
ORDER BY name
LIMIT 10;

-- name: server()^
-- The server, as whoever asks sees it.
SELECT current_setting('server_version') AS release,
       current_setting('server_version_num')::integer AS number,
       pg_is_in_recovery() AS is_standby,
       current_setting('default_transaction_read_only') = 'on' AS is_read_only,
       current_setting('TimeZone') AS time_zone,
       current_setting('server_encoding') AS encoding,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
       pg_has_role(current_user, datdba, 'USAGE') AS is_owner
FROM pg_database
WHERE datname = current_database();

-- name: durability()
SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit');

-- name: undurable_roles()
-- Roles for whom a commit may be answered before it is on the disk.
SELECT coalesce(rolname, 'everybody') AS role
FROM pg_db_role_setting
LEFT JOIN pg_roles ON pg_roles.oid = setrole
WHERE 'synchronous_commit=off' = ANY(setconfig)
  AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()));

-- name: connections()^
SELECT current_setting('max_connections')::integer
           - current_setting('superuser_reserved_connections')::integer AS available,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used;

-- name: migrations()
SELECT name, sha256 FROM schema_migrations;

-- name: has_migrations()$
SELECT to_regclass('public.schema_migrations') IS NOT NULL;

-- name: known_roles(names)
SELECT rolname AS name, rolsuper AS is_superuser FROM pg_roles WHERE rolname = ANY(:names);

-- name: rights(names)
-- What these roles may do with the tables, columns, sequences and functions that there are.
SELECT grantee::regrole::text AS role, kind, object, privilege_type AS privilege
FROM (
    SELECT 'table' AS kind, relname::text AS object, relacl AS acl
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'column', relname || '.' || attname, attacl
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'function', proname, proacl FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS objects, aclexplode(acl) AS one
WHERE grantee::regrole::text = ANY(:names);

-- name: set_lock_timeout#
SET LOCAL lock_timeout = '2s';

-- name: now_us()$
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- name: halted()
SELECT id, halted_reason FROM pools WHERE halted_reason <> '' ORDER BY id;

-- name: unrevealed()
-- Activities and goods that ended a while ago, and whose seeds are not revealed.
SELECT 'activity ' || activities.id AS name
FROM activities
JOIN pools ON pools.id = pool_id
WHERE NOT is_revealed
  AND activity_status(status, start_time, end_time, now() - interval '15 minutes') = 'ended'
  AND (status <> 'ended' OR activities.updated_at < now() - interval '15 minutes')
UNION ALL
SELECT 'goods ' || goods.id || ', box ' || num
FROM boxes
JOIN goods ON goods.id = goods_id
JOIN pools ON pools.id = pool_id
WHERE NOT is_revealed AND goods.is_ended AND goods.updated_at < now() - interval '15 minutes'
ORDER BY name
LIMIT 10;

-- name: live_positions()
-- How far the pools are recorded that may still draw.
SELECT id, recorded_seq FROM pools WHERE NOT is_revealed ORDER BY id LIMIT 20000;

-- name: sealed_seeds()
-- Of the pools that may still draw, the newest.
SELECT pool_id, commitment, encrypted_seed
FROM pool_seeds
JOIN pools ON pools.id = pool_id
WHERE NOT is_revealed
ORDER BY pool_id DESC
LIMIT 100;

-- name: recorded_draws()
SELECT id, draws FROM pools ORDER BY is_revealed, id;
