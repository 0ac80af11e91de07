-- Marks in Postgres: those of all draw processes, a fraction of a second behind.

-- name: insert_mark(pool_id, run_id, witness, room)!
-- A pool that is used for the first time; what was recorded before there were marks is known.
INSERT INTO pool_marks (pool_id, seq, reserved_seq, run_id, witness)
SELECT :pool_id::bigint, known.seq, known.seq + :room::bigint, :run_id, :witness
FROM (SELECT coalesce(max(recorded_seq), 0) AS seq FROM pools WHERE id = :pool_id) AS known
ON CONFLICT (pool_id) DO NOTHING;

-- name: mark(pool_id)^
SELECT greatest(seq, recorded_seq) AS seq, clock_us, reserved_seq, base_seq, run_id, witness
FROM pool_marks
LEFT JOIN pools ON pools.id = pool_id
WHERE pool_id = :pool_id;

-- name: marks(pool_ids)
SELECT pool_id, greatest(seq, recorded_seq) AS seq, clock_us, reserved_seq, base_seq, run_id,
       witness
FROM pool_marks
LEFT JOIN pools ON pools.id = pool_id
WHERE pool_id = ANY(:pool_ids::bigint[]);

-- name: is_answered(pool_id, seq)$
-- Whether a draw was, of those that are not recorded.
SELECT pool_marks.seq >= :seq AND recorded_seq < :seq
FROM pool_marks
JOIN pools ON pools.id = pool_id
WHERE pool_id = :pool_id;

-- name: lock_mark(pool_id)^
SELECT seq, clock_us, reserved_seq, base_seq, run_id, witness
FROM pool_marks
WHERE pool_id = :pool_id
FOR UPDATE;

-- name: live_marks()
-- Of the pools that may still draw.
SELECT pool_id, greatest(seq, recorded_seq) AS seq, clock_us
FROM pool_marks
JOIN pools ON pools.id = pool_id
WHERE NOT is_revealed;

-- name: raise_marks(pool_ids, seqs, clocks_us, reserved_seqs, run_id, witness)!
-- Each at least to what it is given. A pool that two witnesses tell of is known to neither whole.
INSERT INTO pool_marks AS known (pool_id, seq, clock_us, reserved_seq, run_id, witness)
SELECT mark.*, :run_id, :witness
FROM unnest(
    :pool_ids::bigint[], :seqs::bigint[], :clocks_us::bigint[], :reserved_seqs::bigint[]
) AS mark (pool_id, seq, clock_us, reserved_seq)
ORDER BY pool_id
ON CONFLICT (pool_id) DO UPDATE
SET seq = greatest(known.seq, excluded.seq),
    clock_us = greatest(known.clock_us, excluded.clock_us),
    reserved_seq = greatest(known.reserved_seq, excluded.reserved_seq),
    witness = CASE known.witness WHEN excluded.witness THEN known.witness ELSE '' END;

-- name: reserve(pool_id, seq)$
-- No draw id beyond it is given by anybody, in whatever copy of the store.
UPDATE pool_marks
SET reserved_seq = greatest(reserved_seq, :seq)
WHERE pool_id = :pool_id
RETURNING reserved_seq;

-- name: begin_run(pool_id, run_id, witness, base_seq, reserved_seq)!
UPDATE pool_marks
SET run_id = :run_id, witness = :witness, base_seq = :base_seq, reserved_seq = :reserved_seq
WHERE pool_id = :pool_id;

-- name: note_unused(pool_id, first_seq, last_seq)!
INSERT INTO ledger_gaps (pool_id, first_seq, last_seq, reason)
SELECT id, :first_seq, :last_seq, 'run' FROM pools WHERE id = :pool_id;
