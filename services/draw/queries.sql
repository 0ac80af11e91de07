-- name: next_pool_id()$
-- A pool id never handed out before.
SELECT nextval('pool_ids');

-- name: insert_seed(pool_id, commitment, encrypted_seed)!
-- A pool's seed, once and for all.
INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed)
VALUES (:pool_id, :commitment, :encrypted_seed);

-- name: pool_of_activity(activity_id)^
-- The pool of an activity, with its seed.
SELECT activities.pool_id, activities.id AS activity_id, pool_seeds.commitment,
       pool_seeds.encrypted_seed
FROM activities
JOIN pools ON pools.id = activities.pool_id
JOIN pool_seeds ON pool_seeds.pool_id = activities.pool_id
WHERE activities.id = :activity_id;

-- name: pools_to_learn(after, limit)
-- The pools, with their seeds, of the activities after this one that have not been ended.
SELECT activities.pool_id, activities.id AS activity_id, pool_seeds.commitment,
       pool_seeds.encrypted_seed
FROM activities
JOIN pools ON pools.id = activities.pool_id
JOIN pool_seeds ON pool_seeds.pool_id = activities.pool_id
WHERE activities.id > :after AND activities.status <> 'ended'
ORDER BY activities.id
LIMIT :limit;

-- name: pool_with_id(pool_id)^
-- A pool, with its seed; activity_id 0: it is a box's.
SELECT pools.id AS pool_id, coalesce(activities.id, 0) AS activity_id, pool_seeds.commitment,
       pool_seeds.encrypted_seed
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

-- name: is_made(pool_id)$
-- Whether the pool has a seed: it may not be committed elsewhere yet.
SELECT EXISTS (SELECT FROM pool_seeds WHERE pool_id = :pool_id);

-- name: keep_blocks()$
-- Waits for whoever changes a block.
SELECT pg_advisory_xact_lock_shared(hashtext('kuji.blocks'));

-- name: active_blocks()
SELECT user_id, network, until FROM blocks
WHERE lifted_at IS NULL AND (until IS NULL OR until > now());

-- name: recorded_wins(pool_ids, seqs)
-- Whose these draws are as recorded, and how far their pools are; user_id null: not recorded.
-- One statement sees one moment: what lies at or before recorded_seq and is not there never will be.
SELECT waiting.pool_id, waiting.seq, pools.recorded_seq, record.user_id, record.request_id
FROM unnest(:pool_ids::bigint[], :seqs::bigint[]) AS waiting (pool_id, seq)
JOIN pools ON pools.id = waiting.pool_id
LEFT JOIN lottery_records AS record
    ON record.pool_id = waiting.pool_id AND record.seq = waiting.seq;

-- name: existing_users(user_ids)
SELECT id FROM users WHERE id = ANY(:user_ids::bigint[]);
