-- name: insert_goods(type, terms)$
INSERT INTO goods (title, type, price, image_url, on_shelf, protection_seconds, confirm)
VALUES (
    :terms.title, :type, :terms.price, :terms.image_url, :terms.on_shelf,
    :terms.protection_seconds, :terms.confirm)
RETURNING id;

-- name: lock_goods(goods_id)$
-- Changes of goods and of their levels, items and boxes pass here one after the other. A
-- statement sees what was committed before it began: what has to be true is read by a later one.
SELECT id FROM goods WHERE id = :goods_id FOR NO KEY UPDATE;

-- name: goods(goods_id)^
SELECT g.id, g.type, g.title, g.price, g.image_url, g.on_shelf, g.protection_seconds, g.is_ended,
       g.confirm, g.revision, g.created_at, g.updated_at,
       greatest(
           g.boxes_wanted, (SELECT count(*) FROM boxes b WHERE b.goods_id = g.id)
       ) AS boxes
FROM goods g
WHERE g.id = :goods_id;

-- name: all_goods(row_limit, row_offset)
-- Newest first.
SELECT g.id, g.type, g.title, g.price, g.image_url, g.on_shelf, g.protection_seconds, g.is_ended,
       g.confirm, g.revision, g.created_at, g.updated_at,
       greatest(
           g.boxes_wanted, (SELECT count(*) FROM boxes b WHERE b.goods_id = g.id)
       ) AS boxes
FROM goods g
ORDER BY g.id DESC
LIMIT :row_limit OFFSET :row_offset;

-- name: update_goods(terms, revision, goods_id)!
UPDATE goods
SET title = :terms.title,
    price = :terms.price,
    image_url = :terms.image_url,
    on_shelf = :terms.on_shelf,
    protection_seconds = :terms.protection_seconds,
    is_ended = :terms.is_ended,
    confirm = :terms.confirm,
    revision = :revision,
    updated_at = clock_timestamp()
WHERE id = :goods_id;

-- name: insert_shang(goods_id, terms)$
INSERT INTO shangs (goods_id, title, color, sort)
VALUES (:goods_id, :terms.title, :terms.color, :terms.sort)
RETURNING id;

-- name: shangs(goods_id)
SELECT id, goods_id, title, color, sort
FROM shangs
WHERE goods_id = :goods_id
ORDER BY sort, id;

-- name: insert_item(goods_id, terms)$
INSERT INTO goods_items (
    goods_id, shang_id, title, img_url, price, sc_money, stock, weight, is_last_prize)
VALUES (
    :goods_id, :terms.shang_id, :terms.title, :terms.img_url, :terms.price, :terms.sc_money,
    :terms.stock, :terms.weight, :terms.is_last_prize)
RETURNING id;

-- name: update_item(terms, goods_item_id)!
UPDATE goods_items
SET shang_id = :terms.shang_id,
    title = :terms.title,
    img_url = :terms.img_url,
    price = :terms.price,
    sc_money = :terms.sc_money,
    stock = :terms.stock,
    weight = :terms.weight,
    is_last_prize = :terms.is_last_prize,
    updated_at = clock_timestamp()
WHERE id = :goods_item_id;

-- name: items(goods_id)
SELECT id, goods_id, shang_id, title, img_url, price, sc_money, stock, weight, is_last_prize
FROM goods_items
WHERE goods_id = :goods_id
ORDER BY id;

-- name: want_boxes(goods_id, boxes)!
UPDATE goods SET boxes_wanted = :boxes WHERE id = :goods_id;

-- name: next_box(goods_id)$
-- The number of the box that is to be opened next; null: all are open, or the goods have ended.
SELECT open.boxes + 1
FROM goods g, LATERAL (SELECT count(*) AS boxes FROM boxes b WHERE b.goods_id = g.id) AS open
WHERE g.id = :goods_id AND open.boxes < g.boxes_wanted AND NOT g.is_ended;

-- name: goods_to_open()
-- Goods with boxes that are to be opened.
SELECT g.id
FROM goods g
WHERE g.boxes_wanted > (SELECT count(*) FROM boxes b WHERE b.goods_id = g.id) AND NOT g.is_ended
ORDER BY g.id;

-- name: insert_box(box)!
INSERT INTO boxes (goods_id, num, pool_id, revision)
VALUES (:box.goods_id, :box.num, :box.pool_id, :box.revision);

-- name: insert_box_prizes(pool_id, goods_id)!
-- One an item. Their names are for people who read the tables; what is drawn is in the items.
INSERT INTO prizes (goods_item_id, pool_id, name, image_url, total_count, probability_ppb)
SELECT id, :pool_id, title, img_url, stock, 0
FROM goods_items
WHERE goods_id = :goods_id
ORDER BY id;

-- name: count_units(pool_id)!
-- Notes how many wins sell a box out: endless where an item is.
UPDATE boxes
SET units = (
    SELECT CASE WHEN bool_or(total_count IS NULL) THEN 9223372036854775807
                ELSE sum(total_count) END
    FROM prizes
    WHERE prizes.pool_id = boxes.pool_id)
WHERE pool_id = :pool_id;

-- name: update_box(box)!
UPDATE boxes
SET revision = :box.revision, is_ended = :box.is_ended
WHERE goods_id = :box.goods_id AND num = :box.num;

-- name: box_of_pool(pool_id)^
SELECT goods_id, num, pool_id, revision, is_ended FROM boxes WHERE pool_id = :pool_id;

-- name: box_prizes(pool_id)
-- In the order of selection.
SELECT p.id AS prize_id, p.won_count, p.held_count, i.shang_id, i.title, i.img_url, i.price,
       i.sc_money, i.stock, i.weight, i.is_last_prize
FROM prizes p
JOIN goods_items i ON i.id = p.goods_item_id
WHERE p.pool_id = :pool_id
ORDER BY p.id;

-- name: boxes_behind(goods_id)
-- Live boxes whose pool does not have the goods' newest revision yet.
SELECT b.pool_id
FROM boxes b
JOIN goods g ON g.id = b.goods_id
WHERE b.goods_id = :goods_id AND NOT b.is_ended AND b.revision < g.revision
ORDER BY b.num;

-- name: due_boxes()
-- Live boxes that are behind their goods, or sold out as far as it is recorded.
SELECT b.pool_id
FROM boxes b
JOIN goods g ON g.id = b.goods_id
JOIN pools ON pools.id = b.pool_id
WHERE NOT b.is_ended
  AND (b.revision < g.revision OR pools.wins >= b.units AND NOT EXISTS (
      SELECT FROM prizes p
      WHERE p.pool_id = b.pool_id AND (p.total_count IS NULL OR p.won_count < p.total_count)))
ORDER BY b.goods_id, b.num;

-- name: insert_cards(user_id, goods_id, cards, created_by)
INSERT INTO item_cards (user_id, goods_id, created_by)
SELECT :user_id, :goods_id, :created_by
FROM generate_series(1, :cards)
RETURNING id;

-- name: cards(user_id, row_limit, row_offset)
-- Newest first; user 0: of all.
SELECT c.id AS item_card_id, c.user_id, c.goods_id, c.created_at,
       CASE o.status WHEN 'drawn' THEN 'used' WHEN 'reserved' THEN 'reserved' ELSE 'unused' END
           AS status
FROM item_cards c
LEFT JOIN orders o ON o.item_card_id = c.id
WHERE CAST(:user_id AS bigint) = 0 OR c.user_id = CAST(:user_id AS bigint)
ORDER BY c.id DESC
LIMIT :row_limit OFFSET :row_offset;
