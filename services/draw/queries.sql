-- name: next_pool_id()$
-- A pool id never handed out before.
SELECT nextval('pool_ids');

-- name: insert_seed(pool_id, commitment, encrypted_seed)!
-- A pool's seed, once and for all.
INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed)
VALUES (:pool_id, :commitment, :encrypted_seed);

-- name: pool_of_activity(activity_id)^
-- The pool of an activity, with its seed.
SELECT activities.pool_id, activities.id AS activity_id, pools.recorded_seq,
       pool_seeds.commitment, pool_seeds.encrypted_seed
FROM activities
JOIN pools ON pools.id = activities.pool_id
JOIN pool_seeds ON pool_seeds.pool_id = activities.pool_id
WHERE activities.id = :activity_id;

-- name: pool_with_id(pool_id)^
-- A pool, with its seed; activity_id 0: it is a box's.
SELECT pools.id AS pool_id, coalesce(activities.id, 0) AS activity_id, pools.recorded_seq,
       pool_seeds.commitment, pool_seeds.encrypted_seed
FROM pools
JOIN pool_seeds ON pool_seeds.pool_id = pools.id
LEFT JOIN activities ON activities.pool_id = pools.id
WHERE pools.id = :pool_id;

-- name: ongoing_activities()
-- The ongoing activities, two at most: the question is whether there is exactly one.
SELECT id
FROM activities
WHERE activity_status(status, start_time, end_time, now()) = 'ongoing'
LIMIT 2;

-- name: recently_ongoing_activities()
-- Those in which a request id of the last day may have drawn, the newest first. Ending one by hand
-- updates it.
SELECT id, pool_id
FROM activities
WHERE start_time <= now()
  AND (activity_status(status, start_time, end_time, now()) <> 'ended'
       OR updated_at > now() - interval '2 days'
       OR end_time BETWEEN now() - interval '2 days' AND now())
ORDER BY id DESC
LIMIT 100;

-- name: recorded_draws(pool_id, first_seq, last_seq)
-- Draws of one script call, in order, and the link of their entry.
SELECT seq, version, lottery_records.prize_id, lottery_records.prize_name, ticket, odds_weight,
       odds_total, created_at, winners.prize_code, entry.link
FROM lottery_records
LEFT JOIN winners USING (pool_id, seq)
LEFT JOIN LATERAL (
    SELECT encode(place.link, 'hex') AS link
    FROM (
        SELECT seqs, links
        FROM ledger_links
        WHERE ledger_links.pool_id = :pool_id AND last_seq >= :first_seq
        ORDER BY last_seq
        LIMIT 1
    ) AS batch, unnest(batch.seqs, batch.links) AS place (seq, link)
    WHERE place.seq >= :first_seq
    ORDER BY place.seq
    LIMIT 1
) AS entry ON true
WHERE pool_id = :pool_id AND seq BETWEEN :first_seq AND :last_seq
ORDER BY seq;

-- name: draw_to_verify(pool_id, seq)^
-- A recorded draw, how it is listed, what was configured, its pool's seed, and the reveal if any.
SELECT lottery_records.user_id, request_id, draw_index, draw_count, lottery_records.prize_id,
       ticket, odds_weight, odds_total, winners.user_id AS listed_user_id,
       winners.prize_id AS listed_prize_id, winners.prize_code,
       pool_versions.config::text AS config, pool_seeds.commitment, pool_seeds.encrypted_seed,
       pool_reveals.seed
FROM lottery_records
JOIN pool_seeds USING (pool_id)
LEFT JOIN pool_versions USING (pool_id, version)
LEFT JOIN pool_reveals USING (pool_id)
LEFT JOIN winners USING (pool_id, seq)
WHERE pool_id = :pool_id AND seq = :seq;

-- name: pool_to_verify(pool_id, version)^
-- What an unrecorded draw is verified against; config is null until that version is recorded.
SELECT pool_seeds.commitment, pool_seeds.encrypted_seed, pool_reveals.seed,
       pool_versions.config::text AS config
FROM pool_seeds
LEFT JOIN pool_versions ON pool_versions.pool_id = pool_seeds.pool_id AND version = :version
LEFT JOIN pool_reveals ON pool_reveals.pool_id = pool_seeds.pool_id
WHERE pool_seeds.pool_id = :pool_id;

-- name: pools_to_reveal()
-- Pools whose newest recorded configuration has ended them: every draw is recorded before it.
-- OFFSET 0 holds the planner to looking up one configuration for each pool unrevealed; it would
-- rather read all that there ever were.
SELECT pools.id AS pool_id, pool_seeds.encrypted_seed
FROM pools
CROSS JOIN LATERAL (
    SELECT
    FROM pool_versions
    WHERE pool_versions.pool_id = pools.id AND pool_versions.version = pools.recorded_version
        AND pool_versions.config ->> 'status' = 'POOL_STATUS_ENDED'
    OFFSET 0
) AS ended
JOIN pool_seeds ON pool_seeds.pool_id = pools.id
WHERE NOT pools.is_revealed
LIMIT 100;

-- name: reveal(pool_id, seed)!
INSERT INTO pool_reveals (pool_id, seed) VALUES (:pool_id, :seed)
ON CONFLICT (pool_id) DO NOTHING;

-- name: active_blocks()
SELECT user_id, until FROM blocks
WHERE lifted_at IS NULL AND (until IS NULL OR until > now());
