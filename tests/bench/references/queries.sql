-- What the references, and those who measure them, ask Postgres.

-- name: count_draw(activity_id, user_id)$
-- The draws of the user with this one; nothing where a limit is reached, or it is not ongoing.
INSERT INTO participants AS p (activity_id, user_id, draws, day, day_draws)
SELECT id, :user_id::bigint, 1, current_date, 1
FROM activities
WHERE id = :activity_id::bigint AND status = 'ongoing' AND now() BETWEEN start_time AND end_time
ON CONFLICT (activity_id, user_id) DO UPDATE
SET draws = p.draws + 1,
    day = current_date,
    day_draws = CASE WHEN p.day = current_date THEN p.day_draws ELSE 0 END + 1
WHERE EXISTS (
    SELECT FROM activities AS a
    WHERE a.id = p.activity_id AND p.draws < a.max_draws_per_user
      AND (p.day < current_date OR p.day_draws < a.max_draws_per_day)
)
RETURNING draws;

-- name: list_chances(activity_id)
SELECT id AS prize_id, name, probability_ppb
FROM prizes
WHERE activity_id = :activity_id AND is_enabled
ORDER BY id;

-- name: insert_counted(activity_id, user_id, prize_id)^
-- The record of a draw; a unit of the prize is counted off, and its row locked until the end.
WITH prize AS (
    UPDATE prizes SET remaining_count = remaining_count - 1
    WHERE id = :prize_id::bigint AND remaining_count > 0
    RETURNING id, name
)
INSERT INTO lottery_records (activity_id, user_id, prize_id, prize_name)
VALUES (:activity_id, :user_id, (SELECT id FROM prize), (SELECT name FROM prize))
RETURNING id, prize_id;

-- name: insert_taken(activity_id, user_id, prize_id, prize_name)^
-- The record of a draw; the first unit of the prize that nobody else is taking is taken.
WITH unit AS (
    SELECT prize_id, id FROM units WHERE prize_id = :prize_id::bigint AND NOT is_taken
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE units AS u SET is_taken = true
    FROM unit WHERE u.prize_id = unit.prize_id AND u.id = unit.id AND NOT u.is_taken
    RETURNING u.prize_id
)
INSERT INTO lottery_records (activity_id, user_id, prize_id, prize_name)
VALUES (
    :activity_id, :user_id, (SELECT prize_id FROM taken),
    CASE WHEN EXISTS (SELECT FROM taken) THEN :prize_name::text END
)
RETURNING id, prize_id;

-- name: insert_record(draw_id, activity_id, user_id, prize_id, prize_name)!
-- The record of a draw that was made elsewhere.
INSERT INTO lottery_records (id, activity_id, user_id, prize_id, prize_name)
VALUES (:draw_id, :activity_id, :user_id, :prize_id, :prize_name);

-- name: insert_activity(draws)$
INSERT INTO activities (
    name, status, start_time, end_time, max_draws_per_user, max_draws_per_day
)
VALUES ('Measured', 'ongoing', now() - interval '1 hour', now() + interval '1 day', :draws, :draws)
RETURNING id;

-- name: insert_prize(activity_id, name, units, probability_ppb)$
INSERT INTO prizes (activity_id, name, total_count, remaining_count, probability_ppb)
VALUES (:activity_id, :name, :units, :units, :probability_ppb)
RETURNING id;

-- name: insert_units(prize_id, units)!
INSERT INTO units (prize_id) SELECT :prize_id::bigint FROM generate_series(1, :units::integer);

-- name: vacuum()#
VACUUM ANALYZE;

-- name: count_records(activity_id)$
SELECT count(*) FROM lottery_records WHERE activity_id = :activity_id;

-- name: list_records(activity_id)
SELECT user_id, id::text AS draw_id, coalesce(prize_id, 0) AS prize_id
FROM lottery_records
WHERE activity_id = :activity_id;
