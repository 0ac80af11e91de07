-- What the measurements of whole stacks ask Postgres.

-- name: winners(activity_id)
-- The winners of an activity, newest first.
SELECT pool_id || '-' || seq AS draw_id
FROM winners
WHERE activity_id = :activity_id::bigint
ORDER BY win_no DESC;
