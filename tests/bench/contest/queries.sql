-- What a contest asks Kuji's Postgres.

-- name: list_draws(pool_id)
SELECT user_id, pool_id || '-' || seq AS draw_id, coalesce(prize_id, 0) AS prize_id
FROM lottery_records
WHERE pool_id = :pool_id;
