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
-- OFFSET 0 holds the planner to looking up one configuration for each of them; it would rather
-- read all that there ever were.
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
WHERE pools.is_over AND NOT pools.is_revealed
LIMIT 100;

-- name: reveal(pool_id, seed)!
INSERT INTO pool_reveals (pool_id, seed) VALUES (:pool_id, :seed)
ON CONFLICT (pool_id) DO NOTHING;
