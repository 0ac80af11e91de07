-- What the audit reads, each pool in one snapshot.

-- name: list_pools()
SELECT id FROM pools ORDER BY id;

-- name: get_pool(pool_id)^
SELECT p.id, coalesce(a.name, g.title || ', box ' || b.num, '') AS name, p.version, p.recorded_seq,
       p.recorded_version, p.draws, p.wins, p.unique_users, p.halted_reason, b.goods_id,
       coalesce(b.num, 0) AS num, coalesce(m.seq, 0) AS mark_seq,
       coalesce(m.clock_us, 0) AS mark_us
FROM pools p
LEFT JOIN pool_marks m ON m.pool_id = p.id
LEFT JOIN activities a ON a.pool_id = p.id
LEFT JOIN boxes b ON b.pool_id = p.id
LEFT JOIN goods g ON g.id = b.goods_id
WHERE p.id = :pool_id;

-- name: known_gaps(pool_id)
SELECT first_seq, last_seq FROM ledger_gaps WHERE pool_id = :pool_id;

-- name: list_prizes(pool_id)
SELECT p.id, p.name, coalesce(p.total_count - p.held_count, -1) AS units, p.won_count,
       coalesce(record.n, 0) AS records, p.deleted_at IS NOT NULL AS is_deleted
FROM prizes p
LEFT JOIN (
    SELECT prize_id, count(*) AS n FROM lottery_records WHERE pool_id = :pool_id GROUP BY prize_id
) AS record ON record.prize_id = p.id
WHERE p.pool_id = :pool_id
ORDER BY p.id;

-- name: list_noted_prizes(pool_id)
-- The same, trusting the counter instead of counting: for the watch, which looks often.
SELECT id, name, coalesce(total_count - held_count, -1) AS units, won_count, won_count AS records,
       deleted_at IS NOT NULL AS is_deleted
FROM prizes
WHERE pool_id = :pool_id
ORDER BY id;

-- name: list_held(pool_id)
-- Units that are held back, in one pool or (0) in all.
SELECT pool_id, id AS prize_id, name, held_count AS units
FROM prizes
WHERE held_count > 0 AND (:pool_id::bigint = 0 OR pool_id = :pool_id)
ORDER BY pool_id, id;

-- name: count_held()$
SELECT coalesce(sum(held_count), 0)::bigint FROM prizes WHERE held_count > 0;

-- name: list_live_pools()
-- Pools that may still draw, and how far they are: what is not as it was has been at work.
SELECT id, recorded_seq, version, halted_reason FROM pools WHERE NOT is_revealed ORDER BY id;

-- name: tally(pool_id, recorded_seq)^
SELECT record.*, winner.*
FROM (
    SELECT count(*) AS records,
           count(prize_id) AS wins,
           count(*) FILTER (WHERE user_draw_no = 1 AND draw_index < draw_count) AS new_users,
           count(*) FILTER (WHERE seq > :recorded_seq) AS beyond
    FROM lottery_records
    WHERE pool_id = :pool_id
) AS record, (
    SELECT coalesce(max(pool_win_no), 0) AS last_win_no, count(*) AS winners
    FROM winners
    WHERE pool_id = :pool_id
) AS winner;

-- name: missing_records(pool_id, recorded_seq, at_most)
-- Spans of 1 … recorded_seq without a record, less the known gaps.
WITH steps AS (
    SELECT seq, lag(seq, 1, 0::bigint) OVER (ORDER BY seq) AS before
    FROM (
        SELECT seq FROM lottery_records WHERE pool_id = :pool_id AND seq <= :recorded_seq
        UNION ALL
        SELECT :recorded_seq::bigint + 1
    ) AS places
), missing AS (
    SELECT range_agg(int8range(before + 1, seq)) AS spans FROM steps WHERE seq > before + 1
), known AS (
    SELECT range_agg(int8range(first_seq, last_seq + 1)) AS spans
    FROM ledger_gaps
    WHERE pool_id = :pool_id
)
SELECT lower(span) AS first_seq, upper(span) - 1 AS last_seq
FROM missing, known, unnest(missing.spans - coalesce(known.spans, '{}')) AS span
ORDER BY span
LIMIT :at_most;

-- name: winner_mismatches(pool_id, at_most)
SELECT seq, record.prize_id AS recorded_prize_id, winner.prize_id AS listed_prize_id
FROM (
    SELECT seq, prize_id, user_id
    FROM lottery_records
    WHERE pool_id = :pool_id AND prize_id IS NOT NULL
) AS record
FULL JOIN (
    SELECT seq, prize_id, user_id FROM winners WHERE pool_id = :pool_id
) AS winner USING (seq)
WHERE (record.prize_id, record.user_id) IS DISTINCT FROM (winner.prize_id, winner.user_id)
ORDER BY seq
LIMIT :at_most;

-- name: winner_list()^
SELECT counter.win_no AS counter, count(winners.win_no) AS rows,
       coalesce(max(winners.win_no), 0) AS last_win_no
FROM winner_counter AS counter
LEFT JOIN winners ON true
GROUP BY counter.win_no;

-- name: item_mismatches(pool_id, at_most)
-- Draws of a box and order items that do not fit.
SELECT seq, record.pool_id IS NOT NULL AS is_recorded, item.pool_id IS NOT NULL AS is_listed
FROM (
    SELECT r.pool_id, r.seq, r.user_id, r.request_id, r.draw_index::bigint, b.goods_id, b.num,
           p.goods_item_id, g.shang_id, w.prize_code, r.ticket + 1 AS luck_no,
           CASE WHEN r.draw_index < r.draw_count THEN 1 ELSE 2 END AS goodslist_type, r.created_at
    FROM lottery_records r
    JOIN boxes b ON b.pool_id = r.pool_id
    LEFT JOIN prizes p ON p.id = r.prize_id
    LEFT JOIN goods_items g ON g.id = p.goods_item_id
    LEFT JOIN winners w ON w.pool_id = r.pool_id AND w.seq = r.seq
    WHERE r.pool_id = :pool_id
) AS record
FULL JOIN (
    SELECT i.pool_id, i.seq, i.user_id, o.draw_request_id, i.id - i.order_id * 128 AS draw_index,
           i.goods_id, i.num, i.goodslist_id, i.shang_id, i.prize_code, i.luck_no,
           i.goodslist_type::integer, i.created_at
    FROM order_items i
    LEFT JOIN orders o ON o.id = i.order_id
    WHERE i.pool_id = :pool_id
) AS item USING (seq)
WHERE (
    record.user_id, record.request_id, record.draw_index, record.goods_id, record.num,
    record.goods_item_id, record.shang_id, record.prize_code, record.luck_no,
    record.goodslist_type, record.created_at
) IS DISTINCT FROM (
    item.user_id, item.draw_request_id, item.draw_index, item.goods_id, item.num,
    item.goodslist_id, item.shang_id, item.prize_code, item.luck_no,
    item.goodslist_type, item.created_at
)
ORDER BY seq
LIMIT :at_most;

-- name: order_mismatches(pool_id, recorded_seq, at_most)
-- Orders whose draw is recorded and whose items are not all there, or that have some undrawn.
SELECT o.order_num, o.status, coalesce(o.places, 0) AS places, count(i.id) AS items
FROM orders o
LEFT JOIN order_items i ON i.order_id = o.id
WHERE o.pool_id = :pool_id
  AND (o.status <> 'drawn' OR o.first_seq + o.places - 1 <= :recorded_seq)
GROUP BY o.id
HAVING count(i.id) <> coalesce(o.places, 0)
ORDER BY o.id
LIMIT :at_most;

-- name: numberings(goods_id, at_most)
-- Items of goods, over all (shang_id 0) and by level, that are not numbered 1 … their counter.
SELECT shang_id, coalesce(counter.items, 0) AS counter, coalesce(item.n, 0) AS items,
       coalesce(item.last_no, 0) AS last_no
FROM (SELECT shang_id, items FROM item_counters WHERE goods_id = :goods_id) AS counter
FULL JOIN (
    SELECT 0 AS shang_id, count(*) AS n, max(goods_no) AS last_no
    FROM order_items
    WHERE goods_id = :goods_id
    UNION ALL
    SELECT shang_id, count(*), max(shang_no)
    FROM order_items
    WHERE goods_id = :goods_id
    GROUP BY shang_id
) AS item USING (shang_id)
WHERE coalesce(counter.items, 0) <> coalesce(item.n, 0)
   OR coalesce(counter.items, 0) <> coalesce(item.last_no, 0)
ORDER BY shang_id
LIMIT :at_most;

-- name: stuck_orders(pool_id, at_most)
-- Orders that the sweeper should have resolved long ago.
SELECT order_num, updated_at AT TIME ZONE 'UTC' AS reserved_at
FROM orders
WHERE status = 'reserved' AND updated_at < now() - interval '5 minutes' AND pool_id = :pool_id
ORDER BY updated_at
LIMIT :at_most;
