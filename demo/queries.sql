-- What the demo asks Postgres itself.

-- name: recorded_seq(pool_id)$
-- How far the recorder is.
SELECT recorded_seq FROM pools WHERE id = :pool_id;

-- name: list_records(pool_id)
-- The draws of a lottery.
SELECT r.user_id, r.request_id, r.pool_id || '-' || r.seq AS draw_id,
       coalesce(r.prize_id, 0) AS prize_id, coalesce(w.prize_code, '') AS prize_code
FROM lottery_records r
LEFT JOIN winners w ON w.pool_id = r.pool_id AND w.seq = r.seq
WHERE r.pool_id = :pool_id;

-- name: pool_of_box(goods_id)$
SELECT pool_id FROM boxes WHERE goods_id = :goods_id AND num = 1;

-- name: list_items(pool_id)
-- What the orders of a box gave.
SELECT o.order_num, i.user_id, i.goods_id, i.order_id, i.id, i.goodslist_id, i.goodslist_type,
       i.shang_id, i.prize_code, i.luck_no, i.order_type, i.source, i.pool_id || '-' || i.seq AS draw_id
FROM order_items i
JOIN orders o ON o.id = i.order_id
WHERE i.pool_id = :pool_id;

-- name: list_orders(pool_id)
SELECT order_num, status FROM orders WHERE pool_id = :pool_id;
