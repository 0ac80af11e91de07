-- What act 2 asks Postgres itself.

-- name: pool_of_box(goods_id)$
SELECT pool_id FROM boxes WHERE goods_id = :goods_id AND num = 1;

-- name: list_items(pool_id)
-- What the orders of a pool gave, each in the order of drawing.
SELECT o.order_num, i.user_id, i.goods_id, i.order_id, i.id, i.goodslist_id, i.goodslist_type,
       i.shang_id, i.prize_code, i.luck_no, i.order_type, i.source, i.pool_id || '-' || i.seq AS draw_id
FROM order_items i
JOIN orders o ON o.id = i.order_id
WHERE i.pool_id = :pool_id
ORDER BY i.id;

-- name: list_orders(pool_id)
SELECT order_num, status FROM orders WHERE pool_id = :pool_id;
