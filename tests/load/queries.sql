-- What the verdict on a load test asks Postgres.

-- name: list_draws(pool_ids)
-- The draws of lotteries.
SELECT r.user_id, r.request_id, r.pool_id || '-' || r.seq AS draw_id,
       coalesce(r.prize_id, 0) AS prize_id, coalesce(w.prize_code, '') AS prize_code
FROM lottery_records r
LEFT JOIN winners w ON w.pool_id = r.pool_id AND w.seq = r.seq
WHERE r.pool_id = ANY(:pool_ids::bigint[])
  AND NOT EXISTS (SELECT FROM boxes b WHERE b.pool_id = r.pool_id);

-- name: list_items(pool_ids)
-- What orders and cards gave.
SELECT order_id, goodslist_id AS goods_item_id, prize_code
FROM order_items
WHERE pool_id = ANY(:pool_ids::bigint[]);

-- name: list_accounts(user_ids)
SELECT id AS user_id, username
FROM accounts
WHERE id = ANY(:user_ids::bigint[]);
