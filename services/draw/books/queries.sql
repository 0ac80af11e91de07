-- What the audit reads, each pool in one snapshot.

-- name: list_pools()
SELECT id FROM pools ORDER BY id;

-- name: get_pool(pool_id)^
SELECT p.id, coalesce(a.name, '') AS name, p.version, p.recorded_seq, p.recorded_version,
       p.draws, p.wins, p.unique_users, p.halted_reason
FROM pools p
LEFT JOIN activities a ON a.pool_id = p.id
WHERE p.id = :pool_id;

-- name: known_gaps(pool_id)
SELECT first_seq, last_seq FROM ledger_gaps WHERE pool_id = :pool_id;

-- name: list_prizes(pool_id)
SELECT p.id, p.name, p.total_count, p.won_count, coalesce(record.n, 0) AS records
FROM prizes p
LEFT JOIN (
    SELECT prize_id, count(*) AS n FROM lottery_records WHERE pool_id = :pool_id GROUP BY prize_id
) AS record ON record.prize_id = p.id
WHERE p.pool_id = :pool_id
ORDER BY p.id;

-- name: list_noted_prizes(pool_id)
-- The same, trusting the counter instead of counting: for the watch, which looks often.
SELECT id, name, total_count, won_count, won_count AS records
FROM prizes
WHERE pool_id = :pool_id
ORDER BY id;

-- name: list_live_pools()
-- Pools that may still draw.
SELECT id FROM pools
WHERE NOT EXISTS (SELECT FROM pool_reveals WHERE pool_reveals.pool_id = pools.id)
ORDER BY id;

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
