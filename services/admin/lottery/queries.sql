-- name: versions(pool_ids, versions)
-- What pools drew by, from the version asked for on, oldest first.
SELECT v.pool_id, v.version, v.after_seq, v.config, v.units
FROM unnest(CAST(:pool_ids AS bigint[]), CAST(:versions AS bigint[])) AS asked (pool_id, version)
JOIN pool_versions v ON v.pool_id = asked.pool_id AND v.version >= asked.version
ORDER BY v.pool_id, v.version;

-- name: gaps(pool_ids)
SELECT pool_id, first_seq, last_seq
FROM ledger_gaps
WHERE pool_id = ANY(CAST(:pool_ids AS bigint[]));

-- name: last_win(pool_id, prize_id, last_seq)$
SELECT max(seq)
FROM winners
WHERE pool_id = :pool_id AND prize_id = :prize_id AND seq <= :last_seq;
