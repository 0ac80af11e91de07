-- What became of a win: handed out, or disqualified. A code without a row is open.
CREATE TABLE prize_claims (
    prize_code      text PRIMARY KEY REFERENCES winners (prize_code),
    redeemed_at     timestamptz,
    redeemed_by     text,                 -- the operator's username
    note            text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
    disqualified_at timestamptz,
    disqualified_by text,
    reason          text NOT NULL DEFAULT '' CHECK (length(reason) <= 2000),
    unit_returned   boolean NOT NULL DEFAULT false,
    CHECK (redeemed_at IS NULL OR disqualified_at IS NULL),
    CHECK (disqualified_at IS NOT NULL OR NOT unit_returned)
);
-- By name and by e-mail, as an operator looks for somebody.
CREATE INDEX accounts_username_prefix ON accounts (lower(username) text_pattern_ops);
CREATE INDEX accounts_email_prefix ON accounts (lower(email) text_pattern_ops);
