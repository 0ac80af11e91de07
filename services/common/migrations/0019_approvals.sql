-- Changes that wait for a second person's approval, and what became of them.
CREATE TABLE approvals (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_type    text NOT NULL,   -- kuji.admin.v1.UpdatePrizeRequest …
    request         bytea NOT NULL,  -- the message itself
    action          text NOT NULL,   -- action, subject, detail: as in audit_log
    subject         text NOT NULL,
    detail          jsonb NOT NULL,
    requested_by    bigint NOT NULL,
    requested_name  text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    status          text NOT NULL DEFAULT 'pending' CHECK (
        status IN ('pending', 'approved', 'rejected', 'withdrawn', 'expired', 'outdated')),
    decided_by      bigint,
    decided_name    text NOT NULL DEFAULT '',
    decided_at      timestamptz
);
CREATE INDEX approvals_pending ON approvals (requested_by) WHERE status = 'pending';
