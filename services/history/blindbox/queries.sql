-- What is read of blind boxes.

-- name: goods_on_shelf(kind, size)
-- kind '': of both types.
SELECT id, title, type, price, image_url, protection_seconds
FROM goods
WHERE on_shelf AND NOT is_ended AND (:kind::text = '' OR type = :kind)
ORDER BY id DESC
LIMIT :size;

-- name: shangs_of_goods(goods_ids)
SELECT goods_id, id, title, color, sort
FROM shangs
WHERE goods_id = ANY(:goods_ids::bigint[])
ORDER BY goods_id, sort, id;

-- name: items_of_goods(goods_ids)
SELECT i.goods_id, i.id, i.shang_id, i.title, i.img_url, i.price, i.sc_money, i.stock, i.weight,
       i.is_last_prize
FROM goods_items AS i
JOIN shangs AS s ON s.id = i.shang_id
WHERE i.goods_id = ANY(:goods_ids::bigint[])
ORDER BY i.goods_id, s.sort, s.id, i.id;

-- name: boxes_of_goods(goods_ids, size)
-- At most so many of each goods: those that may still draw come before those that have ended.
-- Tickets as they are recorded; null: unlimited. The last prize has none of its own.
SELECT b.goods_id, b.num, stock.total, stock.remaining, b.pool_id,
       encode(p.seed_commitment, 'hex') AS seed_commitment
FROM (
    SELECT goods_id, num, pool_id,
           row_number() OVER (PARTITION BY goods_id ORDER BY is_ended, num) AS place
    FROM boxes
    WHERE goods_id = ANY(:goods_ids::bigint[])
) AS b
JOIN pools AS p ON p.id = b.pool_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(prizes.total_count IS NOT NULL)
                THEN sum(prizes.total_count) END AS total,
           CASE WHEN bool_and(prizes.total_count IS NOT NULL)
                THEN sum(prizes.remaining_count) END AS remaining
    FROM prizes
    JOIN goods_items AS i ON i.id = prizes.goods_item_id
    WHERE prizes.pool_id = b.pool_id AND NOT i.is_last_prize
) AS stock
WHERE b.place <= :size
ORDER BY b.goods_id, b.num;

-- name: item_cards(user_id, size)
SELECT c.id, c.goods_id, c.created_at, o.status
FROM item_cards AS c
LEFT JOIN orders AS o ON o.item_card_id = c.id
WHERE c.user_id = :user_id
ORDER BY c.id DESC
LIMIT :size;

-- name: find_order(order_num, user_id, goods_type)^
-- user_id 0: whoever's.
SELECT o.id, o.pool_id, o.draw_request_id, o.status, o.first_seq, p.recorded_seq
FROM orders AS o
JOIN goods AS g ON g.id = o.goods_id
JOIN pools AS p ON p.id = o.pool_id
WHERE o.order_num = :order_num AND :user_id::bigint IN (0, o.user_id) AND g.type = :goods_type;

-- name: recorded_prizes(order_id)
SELECT oi.id, i.title, i.img_url, i.price, i.sc_money, oi.goodslist_type, oi.status, oi.created_at,
       oi.prize_code, oi.luck_no
FROM order_items AS oi
JOIN goods_items AS i ON i.id = oi.goodslist_id
WHERE oi.order_id = :order_id
ORDER BY oi.id;

-- name: items_of_prizes(prize_ids)
SELECT prizes.id AS prize_id, i.title, i.img_url, i.price, i.sc_money
FROM prizes
JOIN goods_items AS i ON i.id = prizes.goods_item_id
WHERE prizes.id = ANY(:prize_ids::bigint[]);

-- name: recorded_so_far(goods_id, shang_id)
-- How many items of goods, or of one level of them, are recorded, and how far each box is that
-- may have drawn since; one moment, so that together they are all that was drawn. A box that is
-- sold out as recorded draws no more, nor does one whose end is recorded. One row at least.
SELECT g.type, coalesce(c.items, 0) AS items, box.pool_id, box.recorded_seq
FROM goods AS g
LEFT JOIN item_counters AS c ON c.goods_id = g.id AND c.shang_id = :shang_id
LEFT JOIN LATERAL (
    SELECT b.pool_id, p.recorded_seq
    FROM boxes AS b
    JOIN pools AS p ON p.id = b.pool_id
    WHERE b.goods_id = g.id
      AND NOT (b.is_ended AND p.recorded_version >= p.version)
      AND EXISTS (
          SELECT
          FROM prizes
          JOIN goods_items AS i ON i.id = prizes.goods_item_id
          WHERE prizes.pool_id = b.pool_id AND NOT i.is_last_prize
            AND (prizes.total_count IS NULL OR prizes.remaining_count > 0)
      )
) AS box ON true
WHERE g.id = :goods_id;

-- name: prizes_of_level(pool_ids, shang_id)
SELECT prizes.id
FROM prizes
JOIN goods_items AS i ON i.id = prizes.goods_item_id
WHERE prizes.pool_id = ANY(:pool_ids::bigint[]) AND i.shang_id = :shang_id;

-- name: recorded_page(goods_id, newest_no, size)
-- Numbers have no gaps: a page is one range of the index, however deep. The limit tells the
-- planner, which cannot know, how short the range is.
SELECT oi.id, u.username, oi.shang_id, s.title AS shang_title, s.color, i.title, i.img_url,
       oi.luck_no, oi.created_at, oi.num, oi.pool_id, oi.seq
FROM order_items AS oi
JOIN goods_items AS i ON i.id = oi.goodslist_id
JOIN shangs AS s ON s.id = oi.shang_id
LEFT JOIN users AS u ON u.id = oi.user_id
WHERE oi.goods_id = :goods_id
  AND oi.goods_no <= :newest_no::bigint AND oi.goods_no > :newest_no::bigint - :size::bigint
ORDER BY oi.goods_no DESC
LIMIT :size;

-- name: recorded_level_page(goods_id, shang_id, newest_no, size)
-- The same within one level.
SELECT oi.id, u.username, oi.shang_id, s.title AS shang_title, s.color, i.title, i.img_url,
       oi.luck_no, oi.created_at, oi.num, oi.pool_id, oi.seq
FROM order_items AS oi
JOIN goods_items AS i ON i.id = oi.goodslist_id
JOIN shangs AS s ON s.id = oi.shang_id
LEFT JOIN users AS u ON u.id = oi.user_id
WHERE oi.goods_id = :goods_id AND oi.shang_id = :shang_id
  AND oi.shang_no <= :newest_no::bigint AND oi.shang_no > :newest_no::bigint - :size::bigint
ORDER BY oi.shang_no DESC
LIMIT :size;

-- name: recorded_since(goods_id, since, newest_no, size)
-- What was drawn from a moment on, as far as goods_no newest_no.
SELECT oi.id, u.username, oi.shang_id, s.title AS shang_title, s.color, i.title, i.img_url,
       oi.luck_no, oi.created_at, oi.num, oi.pool_id, oi.seq
FROM order_items AS oi
JOIN goods_items AS i ON i.id = oi.goodslist_id
JOIN shangs AS s ON s.id = oi.shang_id
LEFT JOIN users AS u ON u.id = oi.user_id
WHERE oi.goods_id = :goods_id AND oi.created_at >= :since AND oi.goods_no <= :newest_no
ORDER BY oi.created_at DESC, oi.pool_id DESC, oi.seq DESC
LIMIT :size;

-- name: describe_draws(user_ids, request_ids, prize_ids)
-- What draws gave that are not recorded yet; place counts them from 1. One whose order is missing
-- is left out: the recorder raises the alarm.
SELECT draw.place, o.id AS order_id, u.username, i.shang_id, s.title AS shang_title, s.color,
       i.title, i.img_url, o.num
FROM unnest(:user_ids::bigint[], :request_ids::text[], :prize_ids::bigint[]) WITH ORDINALITY
    AS draw (user_id, request_id, prize_id, place)
JOIN prizes ON prizes.id = draw.prize_id
JOIN orders AS o ON (o.draw_request_id, o.user_id, o.pool_id)
    = (draw.request_id, draw.user_id, prizes.pool_id)
JOIN goods_items AS i ON i.id = prizes.goods_item_id
JOIN shangs AS s ON s.id = i.shang_id
LEFT JOIN users AS u ON u.id = o.user_id
ORDER BY draw.place;
