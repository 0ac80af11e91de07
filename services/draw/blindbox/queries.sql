-- Blind boxes as the draw service needs them: which boxes there are, and the orders that draw.

-- name: goods_type(goods_id)$
SELECT type FROM goods WHERE id = :goods_id;

-- name: goods_have_ended(goods_id)$
SELECT is_ended FROM goods WHERE id = :goods_id;

-- name: box(goods_id, num)^
-- No row: there are no such goods; pool_id is null: they have no such box.
SELECT goods.type, boxes.pool_id
FROM goods
LEFT JOIN boxes ON boxes.goods_id = goods.id AND boxes.num = :num
WHERE goods.id = :goods_id;

-- name: is_box(pool_id)$
SELECT EXISTS (SELECT FROM boxes WHERE pool_id = :pool_id);

-- name: items_of_box(pool_id)
-- What a box holds or held, under the ids that its pool knows, in the order of creation.
SELECT prizes.id AS prize_id, goods_items.id AS goods_item_id, goods_items.title,
       goods_items.img_url, shangs.id AS shang_id, shangs.title AS shang_title,
       shangs.color AS shang_color, goods_items.price, goods_items.sc_money,
       goods_items.is_last_prize
FROM prizes
JOIN goods_items ON goods_items.id = prizes.goods_item_id
JOIN shangs ON shangs.id = goods_items.shang_id
WHERE prizes.pool_id = :pool_id
ORDER BY goods_items.id;

-- name: nums_left(goods_id)
-- Boxes that may have tickets left. Records lag behind, so one of these may be sold out; one that
-- is not among them is.
SELECT num
FROM boxes
WHERE goods_id = :goods_id AND NOT is_ended AND EXISTS (
    SELECT
    FROM prizes
    JOIN goods_items ON goods_items.id = prizes.goods_item_id
    WHERE prizes.pool_id = boxes.pool_id AND NOT goods_items.is_last_prize
        AND (prizes.remaining_count > 0 OR prizes.total_count IS NULL)
)
ORDER BY num;

-- name: reserve_order(order_num, order_type, user_id, goods_id, num, pool_id, draw_count, draw_request_id)^
-- The order of this number; a released one is reserved again, as another attempt. No row: the
-- number names another order. The request id of an attempt is orders.draw_request_id's.
INSERT INTO orders (
    order_num, order_type, user_id, goods_id, num, pool_id, draw_count, draw_request_id
)
VALUES (
    :order_num, :order_type, :user_id, :goods_id, :num, :pool_id, :draw_count, :draw_request_id
)
ON CONFLICT (order_num) DO UPDATE
SET status = CASE orders.status WHEN 'released' THEN 'reserved' ELSE orders.status END,
    attempt = orders.attempt + CASE orders.status WHEN 'released' THEN 1 ELSE 0 END,
    draw_request_id = CASE orders.status
        WHEN 'released' THEN 'order@' || (orders.attempt + 1) || ':' || orders.order_num
        ELSE orders.draw_request_id
    END,
    refusal = '',
    updated_at = CASE orders.status WHEN 'released' THEN now() ELSE orders.updated_at END
WHERE (orders.order_type, orders.user_id, orders.goods_id, orders.num, orders.draw_count)
    = (excluded.order_type, excluded.user_id, excluded.goods_id, excluded.num, excluded.draw_count)
RETURNING id AS order_id, order_num, user_id, goods_id, num, pool_id, draw_count, request_id,
          attempt, draw_request_id, status, first_seq, places, updated_at AS reserved_at,
          extract(epoch FROM now() - updated_at)::float8 AS age_s;

-- name: reserve_card(item_card_id, user_id, goods_id, num, pool_id, order_num, request_id, draw_request_id)^
-- The order for which a card is taken, unless it is taken already, or is none of this user's for
-- these goods. A card that was given back may be taken for other goods.
INSERT INTO orders (
    order_num, order_type, user_id, goods_id, num, pool_id, draw_count, item_card_id, request_id,
    draw_request_id
)
SELECT :order_num, 3, user_id, :goods_id, :num, :pool_id, 1, id, :request_id, :draw_request_id
FROM item_cards
WHERE id = :item_card_id AND user_id = :user_id AND (goods_id IS NULL OR goods_id = :goods_id)
ON CONFLICT (order_num) DO UPDATE
SET goods_id = excluded.goods_id, num = excluded.num, pool_id = excluded.pool_id,
    request_id = excluded.request_id, attempt = orders.attempt + 1,
    draw_request_id = 'card@' || (orders.attempt + 1) || ':' || orders.item_card_id,
    status = 'reserved', refusal = '', updated_at = now()
WHERE orders.status = 'released'
RETURNING id AS order_id, order_num, user_id, goods_id, num, pool_id, draw_count, request_id,
          attempt, draw_request_id, status, first_seq, places, updated_at AS reserved_at,
          extract(epoch FROM now() - updated_at)::float8 AS age_s;

-- name: card(item_card_id)^
SELECT user_id, goods_id FROM item_cards WHERE id = :item_card_id;

-- name: order_of_card(item_card_id)^
-- The order for which a card is taken.
SELECT id AS order_id, order_num, user_id, goods_id, num, pool_id, draw_count, request_id,
       attempt, draw_request_id, status, first_seq, places, updated_at AS reserved_at,
       extract(epoch FROM now() - updated_at)::float8 AS age_s
FROM orders
WHERE item_card_id = :item_card_id AND status <> 'released';

-- name: note_drawn(order_id, attempt, first_seq, places)!
-- As the recorder does with the draw's records; whoever comes second changes nothing.
UPDATE orders
SET status = 'drawn', first_seq = :first_seq, places = :places, updated_at = now()
WHERE id = :order_id AND attempt = :attempt AND status = 'reserved';

-- name: release(order_id, attempt, refusal)!
UPDATE orders
SET status = 'released', refusal = :refusal, updated_at = now()
WHERE id = :order_id AND attempt = :attempt AND status = 'reserved';

-- name: release_recorded(order_id, attempt, seq, refusal)$
-- Releases an order that none of its pool's draws up to seq is for: all are recorded, and a
-- record takes its order to drawn in the same transaction. Gives the order's id when it did.
UPDATE orders
SET status = 'released', refusal = :refusal, updated_at = now()
FROM pools
WHERE orders.id = :order_id AND attempt = :attempt AND status = 'reserved'
    AND pools.id = orders.pool_id AND pools.recorded_seq >= :seq
RETURNING orders.id;

-- name: reserved_longer(after_s, after_at, after_id, limit)
-- Orders that nobody may be at any more, from the one given on.
SELECT id AS order_id, order_num, user_id, goods_id, num, pool_id, draw_count, request_id,
       attempt, draw_request_id, status, first_seq, places, updated_at AS reserved_at,
       extract(epoch FROM now() - updated_at)::float8 AS age_s
FROM orders
WHERE status = 'reserved' AND updated_at < now() - make_interval(secs => :after_s)
    AND (updated_at, id) > (:after_at, :after_id)
ORDER BY updated_at, id
LIMIT :limit;
