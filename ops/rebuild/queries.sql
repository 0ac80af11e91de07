-- What a pool in Redis is made of, as Postgres has it.

-- name: pool_ids()
SELECT id FROM pools ORDER BY id;

-- name: lock_pool(pool_id)^
-- Held to the end of the transaction: neither the recorder nor an operator's change comes between.
-- Orders of the pool, which refer to it, may come in meanwhile.
SELECT version, recorded_seq, coalesce(seq, 0) AS mark_seq, coalesce(clock_us, 0) AS mark_us,
       coalesce(reserved_seq, 0) AS reserved_seq
FROM pools
LEFT JOIN pool_marks ON pool_id = id
WHERE id = :pool_id
FOR NO KEY UPDATE OF pools;

-- name: newest_config(pool_id)^
SELECT version, config::text AS config, units::text AS units
FROM pool_versions
WHERE pool_id = :pool_id
ORDER BY version DESC
LIMIT 1;

-- name: newest_draw(pool_id)^
SELECT seq, user_id, (extract(epoch FROM created_at) * 1000)::bigint AS drawn_ms
FROM lottery_records
WHERE pool_id = :pool_id
ORDER BY seq DESC
LIMIT 1;

-- name: wins_by_prize(pool_id)
SELECT prize_id, count(*) AS wins FROM winners WHERE pool_id = :pool_id GROUP BY prize_id;

-- name: newest_link(pool_id)$
-- Of the newest entry: at the same seq, a configuration comes after the draws.
SELECT encode(link, 'hex')
FROM (
    (SELECT after_seq AS seq, 1 AS place, link
     FROM pool_versions
     WHERE pool_id = :pool_id
     ORDER BY version DESC
     LIMIT 1)
    UNION ALL
    (SELECT last_seq, 0, links[cardinality(links)]
     FROM ledger_links
     WHERE pool_id = :pool_id
     ORDER BY last_seq DESC
     LIMIT 1)
) AS newest
ORDER BY seq DESC, place DESC
LIMIT 1;

-- name: users(pool_id, day_ms)
-- What the limits know of each user; a last prize is no draw of its own. A draw counts for the
-- day that it was in the time zone of its own configuration, or for a later one that its user had
-- reached before: days only go forward.
WITH zones AS (
    SELECT version,
           coalesce((config #>> '{limits,day_offset_minutes}')::bigint, 0) * 60000 AS offset_ms
    FROM pool_versions
    WHERE pool_id = :pool_id
), draws AS (
    SELECT seq, user_id, draw_index < draw_count AS counts, drawn_ms,
           max(floor((drawn_ms + offset_ms) / :day_ms::numeric)::bigint)
               OVER (PARTITION BY user_id ORDER BY seq) AS day
    FROM lottery_records
    JOIN zones USING (version)
    CROSS JOIN LATERAL (SELECT (extract(epoch FROM created_at) * 1000)::bigint) AS time (drawn_ms)
    WHERE pool_id = :pool_id
), days AS (
    SELECT user_id, day, max(drawn_ms) AS last_ms, count(*) FILTER (WHERE counts) AS draws
    FROM draws
    GROUP BY user_id, day
)
SELECT user_id, max(last_ms) AS last_ms, sum(draws)::bigint AS draws, max(day) AS day,
       (array_agg(draws ORDER BY day DESC))[1] AS day_draws
FROM days
GROUP BY user_id;

-- name: user_wins(pool_id)
SELECT user_id, prize_id, count(*) AS wins
FROM winners
WHERE pool_id = :pool_id
GROUP BY user_id, prize_id;

-- name: requests(pool_id, since_ms)
-- Request ids that a late retry may still ask for, each with the day (UTC) that knows it.
SELECT user_id, request_id, min(seq) AS first_seq, count(*) AS places,
       max(draw_count) AS draws,
       floor(extract(epoch FROM created_at) / 86400)::bigint AS day
FROM lottery_records
WHERE pool_id = :pool_id AND created_at >= to_timestamp(:since_ms::bigint / 1000.0)
GROUP BY user_id, request_id, created_at;

-- name: void_attempts(pool_id, since_ms)
-- Orders of which so many attempts were given up: what is still under way for these draws nothing.
SELECT user_id, order_num, draw_count, attempts
FROM (
    SELECT user_id, order_num, draw_count, updated_at,
           CASE status WHEN 'released' THEN attempt ELSE attempt - 1 END AS attempts
    FROM orders
    WHERE pool_id = :pool_id
) AS given_up
WHERE attempts > 0 AND updated_at >= to_timestamp(:since_ms::bigint / 1000.0);

-- name: reopen_orders(pool_id, seq)!
-- Orders whose draws were answered and not recorded: they draw anew, for whoever asks first, their
-- shop or the sweeper.
UPDATE orders
SET status = 'reserved', first_seq = NULL, places = NULL, updated_at = now()
WHERE pool_id = :pool_id AND status = 'drawn' AND first_seq > :seq;

-- name: add_gap(pool_id, first_seq, last_seq, reason)!
INSERT INTO ledger_gaps (pool_id, first_seq, last_seq, reason)
VALUES (:pool_id, :first_seq, :last_seq, :reason);

-- name: skip_to(pool_id, seq)!
UPDATE pools SET recorded_seq = :seq WHERE id = :pool_id;

-- name: answered_draws(pool_id, after_seq, mark_seq)$
-- Draws that were answered after this one; ids that were never given are none.
SELECT greatest(:mark_seq::bigint - :after_seq::bigint, 0) - coalesce(sum(last_seq - first_seq + 1), 0)::bigint
FROM ledger_gaps
WHERE pool_id = :pool_id AND first_seq > :after_seq AND last_seq <= :mark_seq;

-- name: reserve_to(pool_id, seq, run_id)!
-- What is rebuilt is believed in this run of Redis.
UPDATE pool_marks
SET reserved_seq = greatest(reserved_seq, :seq), run_id = :run_id
WHERE pool_id = :pool_id;

-- name: keep_blocks()$
-- Waits for whoever changes a block, and keeps others from it until the end of the transaction.
SELECT pg_advisory_xact_lock_shared(hashtext('kuji.blocks'));

-- name: active_blocks()
SELECT user_id, network, coalesce((extract(epoch FROM until) * 1000)::bigint, 0) AS until_ms
FROM blocks
WHERE lifted_at IS NULL AND (until IS NULL OR until > now());

-- name: left(pool_id)
-- Units that could be won, of prizes that have an end.
SELECT id, remaining_count AS left
FROM prizes
WHERE pool_id = :pool_id AND deleted_at IS NULL AND remaining_count > 0;

-- name: hold(ids, units)!
-- So many more; below 0: fewer.
UPDATE prizes
SET held_count = held_count + more.units
FROM unnest(:ids::bigint[], :units::integer[]) AS more (id, units)
WHERE prizes.id = more.id;

-- name: held(pool_id)
SELECT id, held_count AS units FROM prizes WHERE pool_id = :pool_id AND held_count > 0 ORDER BY id;

-- name: newest_confirm(pool_id)^
SELECT version, config ->> 'confirm' AS confirm
FROM pool_versions
WHERE pool_id = :pool_id
ORDER BY version DESC
LIMIT 1;

-- name: raise_mark(pool_id, clock_us)!
-- What is published is never taken back by an older copy of the store.
UPDATE pool_marks SET clock_us = greatest(clock_us, :clock_us) WHERE pool_id = :pool_id;
