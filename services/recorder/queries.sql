-- The recorder's statements. All but the first three run in one transaction per batch.

-- name: take_pools(held)
-- Pools that nobody records, from now on ours: a lock of this session. (19282 << 48
-- keeps clear of other advisory locks.) OFFSET 0 fences the filter from the locking. Pools whose
-- end is recorded are left out: there are ever more of them, and nothing follows an end. They are
-- not even looked at. Those held, thousands perhaps, are unnested, so that they are hashed.
SELECT id, recorded_seq, recorded_version
FROM (
    SELECT id, recorded_seq, recorded_version
    FROM pools
    WHERE halted_reason = '' AND id NOT IN (SELECT unnest(:held::bigint[]))
      AND id = ANY(ARRAY(
          SELECT id FROM pools WHERE recorded_version < version
          UNION ALL
          SELECT pool_id FROM boxes WHERE NOT is_ended
          UNION ALL
          SELECT pool_id FROM activities WHERE status <> 'ended'
      ))
    ORDER BY id
    OFFSET 0
) AS unheld
WHERE pg_try_advisory_lock((19282::bigint << 48) | id);

-- name: give_back_pools(ids)
SELECT pg_advisory_unlock((19282::bigint << 48) | id)
FROM unnest(:ids::bigint[]) AS pool(id);

-- name: count_halted_pools()$
SELECT count(*) FROM pools WHERE halted_reason <> '';

-- name: halt_pool(pool_id, reason)!
UPDATE pools SET halted_reason = :reason WHERE id = :pool_id AND halted_reason = '';

-- name: lock_pool(pool_id)^
-- How far the pool is recorded; nobody else moves it until the end of the transaction. Orders of
-- the pool, which refer to it, may come in meanwhile.
SELECT version, recorded_seq, recorded_version, wins, halted_reason
FROM pools
WHERE id = :pool_id
FOR NO KEY UPDATE;

-- name: pool_configs(pool_id, versions)
SELECT version, config::text AS config
FROM pool_versions
WHERE pool_id = :pool_id AND version = ANY(:versions::bigint[]);

-- name: ledger_gaps(pool_id, after_seq)
SELECT first_seq, last_seq
FROM ledger_gaps
WHERE pool_id = :pool_id AND last_seq > :after_seq
ORDER BY first_seq;

-- name: add_versions(pool_id, versions, after_seqs, configs, units, changed_ats, links)!
INSERT INTO pool_versions (pool_id, version, after_seq, config, units, changed_at, link)
SELECT :pool_id::bigint, entry.*
FROM unnest(
    :versions::bigint[], :after_seqs::bigint[], :configs::json[], :units::json[],
    :changed_ats::timestamptz[], :links::bytea[]
) AS entry;

-- name: add_links(pool_id, seqs, links)!
INSERT INTO ledger_links (pool_id, last_seq, seqs, links)
VALUES (
    :pool_id, (:seqs::bigint[])[cardinality(:seqs::bigint[])], :seqs::bigint[], :links::bytea[]
);

-- name: repair_activity(pool_id, status, start_time, end_time, cooldown_seconds, max_draws_per_user, max_draws_per_day, max_wins_per_user, confirm, ticket_required, ticket_difficulty, ticket_spread_ms)$
-- Brings the activity up to a configuration that was published, but whose transaction was lost.
UPDATE activities
SET status = :status, start_time = :start_time, end_time = :end_time,
    cooldown_seconds = :cooldown_seconds, max_draws_per_user = :max_draws_per_user,
    max_draws_per_day = :max_draws_per_day, max_wins_per_user = :max_wins_per_user,
    confirm = :confirm, ticket_required = :ticket_required,
    ticket_difficulty = :ticket_difficulty, ticket_spread_ms = :ticket_spread_ms,
    updated_at = now()
WHERE pool_id = :pool_id
RETURNING id;

-- name: repair_prizes(activity_id, pool_id, changed_at, ids, names, image_urls, units, held, weights, user_limits, enabled, retired)!
-- Likewise its prizes; one that was lost comes back under its id.
INSERT INTO prizes AS known (
    id, activity_id, pool_id, name, image_url, total_count, held_count, probability_ppb,
    max_wins_per_user, is_enabled, deleted_at
)
OVERRIDING SYSTEM VALUE
SELECT id, :activity_id::bigint, :pool_id::bigint, name, image_url, units + held, held, weight,
       user_limit, enabled, CASE WHEN retired THEN :changed_at::timestamptz END
FROM unnest(
    :ids::bigint[], :names::text[], :image_urls::text[], :units::integer[], :held::integer[],
    :weights::bigint[], :user_limits::integer[], :enabled::boolean[], :retired::boolean[]
) AS prize (id, name, image_url, units, held, weight, user_limit, enabled, retired)
ON CONFLICT (id) DO UPDATE
SET name = excluded.name, image_url = excluded.image_url, total_count = excluded.total_count,
    held_count = excluded.held_count, probability_ppb = excluded.probability_ppb,
    max_wins_per_user = excluded.max_wins_per_user, is_enabled = excluded.is_enabled,
    deleted_at = CASE WHEN excluded.deleted_at IS NOT NULL
                      THEN coalesce(known.deleted_at, excluded.deleted_at) END,
    updated_at = now();

-- name: repair_goods(pool_id, revision, on_shelf, is_ended, protection_seconds, confirm)!
-- Brings the goods up to a revision of which one of their boxes knows, and they do not.
UPDATE goods
SET revision = :revision, on_shelf = coalesce(:on_shelf, on_shelf),
    is_ended = goods.is_ended OR :is_ended, protection_seconds = :protection_seconds,
    confirm = :confirm, updated_at = now()
FROM boxes
WHERE boxes.pool_id = :pool_id AND goods.id = boxes.goods_id AND goods.revision < :revision;

-- name: repair_held(pool_id, ids, held)!
-- Brings what a box holds back up to its configuration; the rest of its units never changes.
UPDATE prizes
SET held_count = box.held
FROM unnest(:ids::bigint[], :held::integer[]) AS box (id, held)
WHERE prizes.id = box.id AND prizes.pool_id = :pool_id AND prizes.held_count <> box.held;

-- name: set_version(pool_id, version)!
UPDATE pools SET version = :version WHERE id = :pool_id;

-- name: count_prizes(pool_id, ids, wins)
-- Raises won_count; gives the prizes that were there to be raised.
UPDATE prizes
SET won_count = won_count + won.units
FROM unnest(:ids::bigint[], :wins::integer[]) AS won (id, units)
WHERE prizes.id = won.id AND prizes.pool_id = :pool_id
RETURNING prizes.id;

-- name: box_items(pool_id)
-- What the box's prizes are; none where the pool is no box.
SELECT boxes.goods_id, boxes.num, goods.type, prizes.id AS prize_id,
       goods_items.id AS goods_item_id, goods_items.shang_id
FROM boxes
JOIN goods ON goods.id = boxes.goods_id
JOIN prizes ON prizes.pool_id = boxes.pool_id
JOIN goods_items ON goods_items.id = prizes.goods_item_id
WHERE boxes.pool_id = :pool_id;

-- name: orders_of_draws(request_ids)
SELECT id, draw_request_id, pool_id, user_id, order_type, status
FROM orders
WHERE draw_request_id = ANY(:request_ids::text[]);

-- name: mark_drawn(ids, first_seqs, places)!
-- The draw service marks its orders too, one at a time; whoever is first.
UPDATE orders
SET status = 'drawn', first_seq = drew.first_seq, places = drew.places, updated_at = now()
FROM unnest(:ids::bigint[], :first_seqs::bigint[], :places::smallint[])
    AS drew (id, first_seq, places)
WHERE orders.id = drew.id AND orders.status = 'reserved';

-- name: pass_lost_ids(ids, seqs)$
-- True where a pool is behind what was recorded of it: then all ids pass those given meanwhile.
SELECT pass_lost_ids(NULL, NULL)
WHERE EXISTS (
    SELECT
    FROM unnest(:ids::bigint[], :seqs::bigint[]) AS told (id, seq)
    JOIN pools USING (id)
    WHERE pools.recorded_seq < told.seq
);

-- name: pass_lost_version(version)$
SELECT pass_lost_ids('pool_versions_seq', :version);

-- name: pass_lost_prize_ids(seen)$
SELECT pass_lost_ids('prizes_id_seq', :seen);

-- name: pass_lost_order_ids(seen)$
SELECT pass_lost_ids('orders_id_seq', :seen);

-- name: pass_lost_card_ids(seen)$
SELECT pass_lost_ids('item_cards_id_seq', :seen);

-- name: restore_cards(orders)!
-- Cards that orders spent and that are not there; which goods they were for is not known any more.
INSERT INTO item_cards (id, user_id, goods_id, created_by, created_at)
OVERRIDING SYSTEM VALUE
SELECT item_card_id, user_id, goods_id, 0, drawn_at
FROM jsonb_to_recordset(:orders::jsonb)
    AS lost (item_card_id bigint, user_id bigint, goods_id bigint, drawn_at timestamptz)
WHERE item_card_id IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: raise_attempts(orders)
-- Orders of which only an earlier attempt is there. A card may have been given back and spent in
-- another box.
UPDATE orders
SET attempt = lost.attempt, draw_request_id = lost.draw_request_id, goods_id = lost.goods_id,
    num = lost.num, pool_id = lost.pool_id, request_id = lost.request_id, status = 'reserved',
    refusal = '', updated_at = lost.drawn_at
FROM jsonb_to_recordset(:orders::jsonb)
    AS lost (order_num text, user_id bigint, draw_count smallint, attempt integer, goods_id bigint,
             num integer, pool_id bigint, request_id text, draw_request_id text,
             drawn_at timestamptz)
WHERE orders.order_num = lost.order_num AND orders.user_id = lost.user_id
    AND orders.draw_count = lost.draw_count AND orders.attempt < lost.attempt
    AND orders.status <> 'drawn'
RETURNING orders.id, orders.draw_request_id, orders.pool_id, orders.user_id, orders.order_type,
          orders.status;

-- name: restore_orders(orders)
-- Orders that are not there; one whose number or card another order has is left out. Where another
-- has its id, it gets a fresh one.
INSERT INTO orders (
    id, order_num, order_type, user_id, goods_id, num, pool_id, draw_count, item_card_id,
    request_id, attempt, draw_request_id, created_at, updated_at
)
OVERRIDING SYSTEM VALUE
SELECT CASE WHEN EXISTS (SELECT FROM orders WHERE id = order_id)
            THEN nextval('orders_id_seq') ELSE order_id END,
       order_num, order_type, user_id, goods_id, num, pool_id, draw_count, item_card_id,
       request_id, attempt, draw_request_id, drawn_at, drawn_at
FROM jsonb_to_recordset(:orders::jsonb)
    AS lost (order_id bigint, order_num text, order_type smallint, user_id bigint, goods_id bigint,
             num integer, pool_id bigint, draw_count smallint, item_card_id bigint,
             request_id text, attempt integer, draw_request_id text, drawn_at timestamptz)
ON CONFLICT DO NOTHING
RETURNING id, draw_request_id, pool_id, user_id, order_type, status;

-- name: count_items(goods_id, shang_ids, counts)
-- Raises the goods' counter (shang_id 0) and those of its levels, and gives them. Give the levels
-- in order: boxes of the same goods then wait for each other, and never in a circle.
INSERT INTO item_counters AS counter (goods_id, shang_id, items)
SELECT :goods_id::bigint, given.*
FROM unnest(:shang_ids::bigint[], :counts::bigint[]) AS given
ON CONFLICT (goods_id, shang_id) DO UPDATE SET items = counter.items + excluded.items
RETURNING shang_id, items;

-- name: advance_pool(pool_id, seq, version, draws, wins, users)!
UPDATE pools
SET recorded_seq = :seq, recorded_version = :version, draws = draws + :draws,
    wins = wins + :wins, unique_users = unique_users + :users
WHERE id = :pool_id;

-- name: add_winners(pool_id, wins_before, seqs, activity_ids, user_ids, prize_ids, prize_names, prize_codes, won_ats)$
-- The last statement before the commit: from here on, other pools wait for their numbers.
-- Gives the newest number.
WITH counter AS (
    UPDATE winner_counter
    SET win_no = win_no + cardinality(:seqs::bigint[])
    RETURNING win_no
), added AS (
    INSERT INTO winners (
        win_no, pool_id, pool_win_no, seq, activity_id, user_id, prize_id, prize_name,
        prize_code, won_at
    )
    SELECT counter.win_no - cardinality(:seqs::bigint[]) + win.place, :pool_id::bigint,
           :wins_before::bigint + win.place, win.seq, win.activity_id, win.user_id, win.prize_id,
           win.prize_name, win.prize_code, win.won_at
    FROM counter, unnest(
        :seqs::bigint[], :activity_ids::bigint[], :user_ids::bigint[], :prize_ids::bigint[],
        :prize_names::text[], :prize_codes::text[], :won_ats::timestamptz[]
    ) WITH ORDINALITY
        AS win (seq, activity_id, user_id, prize_id, prize_name, prize_code, won_at, place)
)
SELECT win_no FROM counter;
