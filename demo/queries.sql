-- How far the recorder is.

-- name: recorded_seq(pool_id)$
SELECT recorded_seq FROM pools WHERE id = :pool_id;
