-- name: win_of_code(prize_code)^
-- A win by its code, and what became of it.
SELECT w.prize_code, w.pool_id, w.seq, w.activity_id, w.user_id, coalesce(u.username, '') AS username,
       coalesce(u.email, '') AS email, w.prize_id, w.prize_name, w.won_at,
       c.redeemed_at, c.redeemed_by, coalesce(c.note, '') AS note,
       c.disqualified_at, c.disqualified_by, coalesce(c.reason, '') AS reason,
       coalesce(c.unit_returned, false) AS unit_returned
FROM winners w
LEFT JOIN users u ON u.id = w.user_id
LEFT JOIN prize_claims c ON c.prize_code = w.prize_code
WHERE w.prize_code = :prize_code;

-- name: code_of_draw(pool_id, seq)$
-- The code of a draw that won.
SELECT prize_code FROM winners WHERE pool_id = :pool_id AND seq = :seq;

-- name: is_recorded(pool_id, seq)$
SELECT EXISTS (SELECT FROM lottery_records WHERE pool_id = :pool_id AND seq = :seq);

-- name: redeem(prize_code, redeemed_by, note)$
-- Once, and only what is open: nothing where it is not.
INSERT INTO prize_claims AS c (prize_code, redeemed_at, redeemed_by, note)
VALUES (:prize_code, now(), :redeemed_by, :note)
ON CONFLICT (prize_code) DO UPDATE
SET redeemed_at = excluded.redeemed_at, redeemed_by = excluded.redeemed_by, note = excluded.note
WHERE c.redeemed_at IS NULL AND c.disqualified_at IS NULL
RETURNING prize_code;

-- name: undo_redemption(prize_code)$
-- Nothing where it was not redeemed.
UPDATE prize_claims
SET redeemed_at = NULL, redeemed_by = NULL, note = ''
WHERE prize_code = :prize_code AND redeemed_at IS NOT NULL
RETURNING prize_code;

-- name: disqualify(prize_code, disqualified_by, reason, unit_returned)$
-- Once, and only what is open: nothing where it is not.
INSERT INTO prize_claims AS c (prize_code, disqualified_at, disqualified_by, reason, unit_returned)
VALUES (:prize_code, now(), :disqualified_by, :reason, :unit_returned)
ON CONFLICT (prize_code) DO UPDATE
SET disqualified_at = excluded.disqualified_at, disqualified_by = excluded.disqualified_by,
    reason = excluded.reason, unit_returned = excluded.unit_returned
WHERE c.redeemed_at IS NULL AND c.disqualified_at IS NULL
RETURNING prize_code;

-- name: is_published(pool_id, cause)$
-- Whether a configuration made for this cause is in the ledger.
SELECT EXISTS (
    SELECT FROM pool_versions WHERE pool_id = :pool_id AND config ->> 'cause' = :cause
);
