-- What the verdict compares the acknowledged draws with.

-- name: list_records(pool_id)
SELECT r.user_id, r.request_id, r.pool_id || '-' || r.seq AS draw_id,
       coalesce(r.prize_id, 0) AS prize_id, coalesce(w.prize_code, '') AS prize_code
FROM lottery_records r
LEFT JOIN winners w ON w.pool_id = r.pool_id AND w.seq = r.seq
WHERE r.pool_id = :pool_id;
