-- What the measurements ask Postgres.

-- name: durability()^
-- What an acknowledged commit rests on.
SELECT current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('full_page_writes') AS full_page_writes;

-- name: insert_users(users)!
-- Users 1 … n, in this order.
INSERT INTO users (username, password_hash)
SELECT 'bench-' || n, 'none' FROM generate_series(1, :users::bigint) AS n ORDER BY n;

-- name: insert_pool(pool_id, commitment)!
INSERT INTO pools (id, mode, seed_commitment) VALUES (:pool_id, 'odds', :commitment);

-- name: insert_activity(pool_id)$
INSERT INTO activities (pool_id, name, start_time, status)
VALUES (:pool_id, 'Measured', now() - interval '1 hour', 'open')
RETURNING id;

-- name: insert_prizes(activity_id, pool_id, prizes, units, probability_ppb)
INSERT INTO prizes (activity_id, pool_id, name, total_count, probability_ppb)
SELECT :activity_id::bigint, :pool_id::bigint, 'Prize ' || n, :units::integer, :probability_ppb::bigint
FROM generate_series(1, :prizes::integer) AS n
RETURNING id, name;

-- name: next_version()$
SELECT nextval('pool_versions_seq');

-- name: set_version(pool_id, version)!
UPDATE pools SET version = :version WHERE id = :pool_id;

-- name: recorded_pools()$
-- Pools with nothing under way.
SELECT count(*) FROM pools WHERE recorded_version = version;

-- name: recorded_seq(pool_id)$
SELECT recorded_seq FROM pools WHERE id = :pool_id;

-- name: insert_history(first, last, users)!
-- Draws of a pool of long ago, one in ten a win, by all users in no order.
INSERT INTO lottery_records (
    pool_id, seq, activity_id, user_id, request_id, draw_index, draw_count, user_draw_no, version,
    prize_id, prize_name, ticket, odds_weight, odds_total, created_at
)
SELECT 1000000000, n, 1000000000, n * 15485863 % :users::bigint + 1, 'history-' || n, 0, 1,
       n / :users::bigint + 1, 1, CASE WHEN n % 10 = 0 THEN 1 END,
       CASE WHEN n % 10 = 0 THEN 'Prize 1' END, n, 900000000, 1000000000,
       timestamptz '2020-01-01Z' + n * interval '1 second'
FROM generate_series(:first::bigint, :last::bigint) AS n;

-- name: vacuum()#
VACUUM ANALYZE;

-- name: checkpoint()#
CHECKPOINT;

-- name: make_acknowledged()#
CREATE TEMPORARY TABLE acknowledged (
    seq bigint PRIMARY KEY, user_id bigint NOT NULL, request_id text NOT NULL, prize_id bigint NOT NULL
) ON COMMIT DROP;

-- name: differences(pool_id, after_seq)^
-- Draws that were acknowledged but not recorded so, and draws recorded but not acknowledged.
SELECT count(*) FILTER (WHERE recorded.seq IS NULL) AS lost,
       count(*) FILTER (WHERE acknowledged.seq IS NULL) AS unasked,
       count(*) FILTER (
           WHERE (recorded.user_id, recorded.request_id, coalesce(recorded.prize_id, 0))
              <> (acknowledged.user_id, acknowledged.request_id, acknowledged.prize_id)
       ) AS changed
FROM acknowledged
FULL JOIN (
    SELECT seq, user_id, request_id, prize_id
    FROM lottery_records
    WHERE pool_id = :pool_id AND seq > :after_seq
) AS recorded USING (seq);

-- name: winners_differ(pool_id, after_seq)$
-- Wins without their row on the winner list.
SELECT count(*)
FROM lottery_records AS record
LEFT JOIN winners USING (pool_id, seq)
WHERE record.pool_id = :pool_id AND seq > :after_seq AND record.prize_id IS NOT NULL
  AND winners.prize_id IS DISTINCT FROM record.prize_id;

-- name: recorded_draws()$
-- Of all pools.
SELECT count(*) FROM lottery_records;
