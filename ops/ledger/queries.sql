-- A pool's ledger, as recorded.

-- name: pool(pool_id)^
-- The commitment is the one that was published, whatever the seed's own row says.
SELECT pools.id AS pool_id, activities.id AS activity_id, pools.recorded_seq,
       pools.recorded_version, pools.seed_commitment, pool_reveals.seed
FROM pools
LEFT JOIN activities ON activities.pool_id = pools.id
LEFT JOIN pool_reveals ON pool_reveals.pool_id = pools.id
WHERE pools.id = :pool_id;

-- name: pool_of_activity(activity_id)$
SELECT pool_id FROM activities WHERE id = :activity_id;

-- name: pool_of_box(goods_id, num)$
SELECT pool_id FROM boxes WHERE goods_id = :goods_id AND num = :num;

-- name: pool_exists(pool_id)$
SELECT EXISTS (SELECT FROM pools WHERE id = :pool_id);

-- name: versions(pool_id)
SELECT version, after_seq, config::text AS config, units::text AS units,
       (extract(epoch FROM changed_at) * 1000)::bigint AS changed_ms, encode(link, 'hex') AS link
FROM pool_versions
WHERE pool_id = :pool_id
ORDER BY version;

-- name: gaps(pool_id)
SELECT first_seq, last_seq FROM ledger_gaps WHERE pool_id = :pool_id ORDER BY first_seq;

-- name: links(pool_id)
SELECT seq, encode(link, 'hex') AS link
FROM ledger_links, unnest(seqs, links) WITH ORDINALITY AS entry (seq, link, place)
WHERE pool_id = :pool_id
ORDER BY last_seq, place;

-- name: draws(pool_id)
-- From user_id on, the columns are those of a DrawRecord.
SELECT seq, (extract(epoch FROM created_at) * 1000)::bigint AS drawn_ms, version,
       user_id, request_id, draw_index, draw_count, user_draw_no,
       coalesce(prize_id, 0) AS prize_id, ticket, odds_weight, odds_total
FROM lottery_records
WHERE pool_id = :pool_id
ORDER BY seq;
