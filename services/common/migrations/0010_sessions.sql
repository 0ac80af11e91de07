-- Sessions that their owner can see and end, accounts that can be deactivated, and access tokens
-- that end before they expire.

ALTER TABLE accounts
    ADD COLUMN token_generation integer NOT NULL DEFAULT 0,  -- tokens of one before it are over
    ADD COLUMN deactivated_at timestamptz;
CREATE OR REPLACE VIEW users AS
SELECT id, username, password_hash, email, role,
       (SELECT newest.created_at
        FROM lottery_records AS newest
        WHERE newest.user_id = accounts.id
        ORDER BY newest.created_at DESC
        LIMIT 1) AS last_lottery_at,
       created_at, updated_at, token_generation, deactivated_at
FROM accounts;

-- What is known of a login beside its refresh tokens; it goes with the last of them.
CREATE TABLE logins (
    family      uuid PRIMARY KEY,
    user_agent  text NOT NULL DEFAULT '' CHECK (length(user_agent) <= 200),
    created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO logins (family, created_at)
SELECT family, min(created_at) FROM refresh_tokens GROUP BY family;

-- The newest token of each login of a user.
CREATE INDEX refresh_tokens_living ON refresh_tokens (user_id)
    WHERE spent_at IS NULL AND revoked_at IS NULL;

-- Access tokens that are over though they have not expired. Every service follows these tables.
CREATE TABLE ended_generations (
    user_id     bigint PRIMARY KEY,
    below       integer NOT NULL,      -- tokens of a generation below it are over
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL   -- when all of them have expired
);
CREATE INDEX ended_generations_expires_at ON ended_generations (expires_at);
CREATE TABLE ended_sessions (
    session_id  uuid PRIMARY KEY,      -- refresh_tokens.family
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX ended_sessions_expires_at ON ended_sessions (expires_at);

CREATE FUNCTION tell_of_ended_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('kuji_ended_tokens', '');
    RETURN NULL;
END $$;
CREATE TRIGGER ended_generations_told AFTER INSERT OR UPDATE ON ended_generations
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_ended_tokens();
CREATE TRIGGER ended_sessions_told AFTER INSERT OR UPDATE ON ended_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_ended_tokens();
