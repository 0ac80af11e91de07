-- What the history service reads. It writes nothing.

-- name: newest_win_no()$
SELECT win_no FROM winner_counter;

-- name: winners_page(skip, size)
-- Numbers have no gaps: a page is one range of the index, however deep. The limit tells the
-- planner, which cannot know, how short the range is.
SELECT w.win_no AS place, w.win_no, w.pool_id, w.seq, w.activity_id, u.username, w.prize_id,
       w.prize_name, w.won_at
FROM winners AS w
LEFT JOIN users AS u ON u.id = w.user_id
WHERE w.win_no <= (SELECT win_no FROM winner_counter) - :skip::bigint
  AND w.win_no > (SELECT win_no FROM winner_counter) - :skip::bigint - :size::bigint
ORDER BY w.win_no DESC
LIMIT :size;

-- name: activity_winners_page(activity_id, skip, size)
-- The same within the activity's pool.
WITH pool AS MATERIALIZED (
    SELECT p.id, p.wins
    FROM activities AS a
    JOIN pools AS p ON p.id = a.pool_id
    WHERE a.id = :activity_id
)
SELECT w.pool_win_no AS place, w.win_no, w.pool_id, w.seq, w.activity_id, u.username, w.prize_id,
       w.prize_name, w.won_at
FROM winners AS w
LEFT JOIN users AS u ON u.id = w.user_id
WHERE w.pool_id = (SELECT id FROM pool)
  AND w.pool_win_no <= (SELECT wins FROM pool) - :skip::bigint
  AND w.pool_win_no > (SELECT wins FROM pool) - :skip::bigint - :size::bigint
ORDER BY w.pool_win_no DESC
LIMIT :size;

-- name: winners_after(win_no, size)
SELECT w.win_no AS place, w.win_no, w.pool_id, w.seq, w.activity_id, u.username, w.prize_id,
       w.prize_name, w.won_at
FROM winners AS w
LEFT JOIN users AS u ON u.id = w.user_id
WHERE w.win_no > :win_no
ORDER BY w.win_no
LIMIT :size;

-- name: win_no_of(pool_id, seq)$
SELECT win_no FROM winners WHERE pool_id = :pool_id AND seq = :seq;

-- name: user_draws(user_id, activity_id, skip, size)
-- activity_id 0: of all.
SELECT pool_id, seq, activity_id, prize_id, prize_name, created_at
FROM lottery_records
WHERE user_id = :user_id AND (:activity_id::bigint = 0 OR activity_id = :activity_id)
ORDER BY created_at DESC, pool_id DESC, seq DESC
OFFSET :skip::bigint
LIMIT :size;

-- name: user_wins(user_id, activity_id, skip, size)
SELECT pool_id, seq, activity_id, prize_id, prize_name, won_at AS created_at
FROM winners
WHERE user_id = :user_id AND (:activity_id::bigint = 0 OR activity_id = :activity_id)
ORDER BY won_at DESC, pool_id DESC, seq DESC
OFFSET :skip::bigint
LIMIT :size;

-- name: recorded_draw(pool_id, seq)^
SELECT r.activity_id, r.user_id, u.username, r.prize_id, r.prize_name, p.image_url, w.prize_code,
       r.created_at, r.odds_weight, r.odds_total, r.request_id, r.draw_index, r.draw_count
FROM lottery_records AS r
LEFT JOIN users AS u ON u.id = r.user_id
LEFT JOIN prizes AS p ON p.id = r.prize_id
LEFT JOIN winners AS w ON w.pool_id = r.pool_id AND w.seq = r.seq
WHERE r.pool_id = :pool_id AND r.seq = :seq;

-- name: recorded_seq(pool_id)$
SELECT recorded_seq FROM pools WHERE id = :pool_id;

-- name: pool_config(pool_id, version)$
SELECT config::text FROM pool_versions WHERE pool_id = :pool_id AND version = :version;

-- name: username(user_id)$
SELECT username FROM users WHERE id = :user_id;

-- name: newest_activities(size)
SELECT id, name, description, start_time, end_time,
       activity_status(status, start_time, end_time, now()) AS status
FROM activities
ORDER BY id DESC
LIMIT :size;

-- name: activity(activity_id)^
SELECT a.id, a.name, a.description, a.start_time, a.end_time,
       activity_status(a.status, a.start_time, a.end_time, now()) AS status,
       encode(p.seed_commitment, 'hex') AS seed_commitment
FROM activities AS a
JOIN pools AS p ON p.id = a.pool_id
WHERE a.id = :activity_id;

-- name: ongoing_activity_ids()
-- At most two: enough to see whether there is exactly one.
SELECT id
FROM activities
WHERE activity_status(status, start_time, end_time, now()) = 'ongoing'
LIMIT 2;

-- name: prizes(activity_id)
SELECT id, name, description, image_url, total_count, remaining_count, probability_ppb, is_enabled
FROM prizes
WHERE activity_id = :activity_id AND deleted_at IS NULL
ORDER BY id;

-- name: rules(activity_id, row_limit, row_offset)
-- The configurations of an activity's pool that changed its prizes or limits, oldest first.
SELECT version, after_seq, changed_at, config
FROM (
    SELECT v.version, v.after_seq, v.changed_at, v.config,
           lag(concat(v.config -> 'prizes', v.config -> 'limits')) OVER (ORDER BY v.version) AS before
    FROM pool_versions AS v
    JOIN activities AS a ON a.pool_id = v.pool_id
    WHERE a.id = :activity_id
) AS versions
WHERE before IS DISTINCT FROM concat(config -> 'prizes', config -> 'limits')
ORDER BY version
LIMIT :row_limit OFFSET :row_offset;

-- name: terms(activity_id)^
-- What holds of an activity beside its odds.
SELECT encode(p.seed_commitment, 'hex') AS seed_commitment, a.confirm, a.cooldown_seconds,
       a.max_draws_per_user, a.max_draws_per_day, a.max_wins_per_user, a.time_zone,
       a.ticket_required, a.ticket_difficulty, a.ticket_spread_ms
FROM activities AS a
JOIN pools AS p ON p.id = a.pool_id
WHERE a.id = :activity_id;
