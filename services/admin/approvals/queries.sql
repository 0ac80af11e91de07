-- name: lock_approvals()$
-- One change of what waits at a time, so that no more wait than may.
SELECT pg_advisory_xact_lock(hashtext('kuji.approvals'));

-- name: expire_approvals()!
UPDATE approvals SET status = 'expired' WHERE status = 'pending' AND expires_at <= clock_timestamp();

-- name: count_pending()$
SELECT count(*) FROM approvals WHERE status = 'pending';

-- name: same_pending(requested_by, request_type, request)^
-- What the same person asks for once more.
SELECT id AS approval_id, request_type, request, action, subject, detail, requested_by,
       requested_name, created_at, expires_at, status, decided_by, decided_name, decided_at
FROM approvals
WHERE status = 'pending' AND requested_by = :requested_by AND request_type = :request_type
  AND request = :request;

-- name: insert_approval(asked, valid_s)$
INSERT INTO approvals (
    request_type, request, action, subject, detail, requested_by, requested_name, expires_at)
VALUES (
    :asked.request_type, :asked.request, :asked.action, :asked.subject,
    CAST(:asked.detail AS jsonb), :asked.requested_by, :asked.requested_name,
    date_trunc('milliseconds', clock_timestamp())
        + CAST(:valid_s AS double precision) * interval '1 second')
RETURNING id;

-- name: approval(approval_id)^
SELECT id AS approval_id, request_type, request, action, subject, detail, requested_by,
       requested_name, created_at, expires_at, decided_by, decided_name, decided_at,
       CASE WHEN status = 'pending' AND expires_at <= clock_timestamp() THEN 'expired'
            ELSE status END AS status
FROM approvals
WHERE id = :approval_id;

-- name: approvals(status, row_limit, row_offset)
-- Newest first; status '': of all.
SELECT * FROM (
    SELECT id AS approval_id, request_type, request, action, subject, detail, requested_by,
           requested_name, created_at, expires_at, decided_by, decided_name, decided_at,
           CASE WHEN status = 'pending' AND expires_at <= clock_timestamp() THEN 'expired'
                ELSE status END AS status
    FROM approvals
) AS shown
WHERE CAST(:status AS text) = '' OR status = :status
ORDER BY approval_id DESC
LIMIT :row_limit OFFSET :row_offset;

-- name: close_approval(approval_id, status, decided_by, decided_name)$
-- Its id, where it still waited.
UPDATE approvals
SET status = :status, decided_by = :decided_by, decided_name = :decided_name,
    decided_at = clock_timestamp()
WHERE id = :approval_id AND status = 'pending' AND expires_at > clock_timestamp()
RETURNING id;

-- name: may_still_ask(user_id)$
-- Whether a user has a role that may ask for changes, now.
SELECT role IN ('operator', 'admin') AND deactivated_at IS NULL
FROM users
WHERE id = :user_id;
