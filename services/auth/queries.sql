-- Users ------------------------------------------------------------------

-- name: add_user(username, password_hash, email)^
-- No row where the name is taken, in this or another case.
INSERT INTO users (username, password_hash, email)
VALUES (:username, :password_hash, :email)
ON CONFLICT (lower(username)) DO NOTHING
RETURNING id, username, password_hash, role, token_generation, true AS is_active;

-- name: find_user(username)^
SELECT id, username, password_hash, role, token_generation, deactivated_at IS NULL AS is_active
FROM users
WHERE lower(username) = lower(:username);

-- name: change_password(user_id, old_hash, new_hash)$
-- The new generation of the account's tokens; no row where the hash is no longer the old one.
UPDATE users
SET password_hash = :new_hash, token_generation = token_generation + 1, updated_at = now()
WHERE id = :user_id AND password_hash = :old_hash
RETURNING token_generation;

-- name: raise_generation(user_id)$
UPDATE users SET token_generation = token_generation + 1, updated_at = now()
WHERE id = :user_id
RETURNING token_generation;

-- name: end_generations(user_id, below, kept_s)!
-- Access tokens of generations below are over, everywhere and at once.
INSERT INTO ended_generations AS e (user_id, below, expires_at)
VALUES (:user_id, :below, now() + make_interval(secs => :kept_s))
ON CONFLICT (user_id) DO UPDATE
    SET below = greatest(e.below, excluded.below), changed_at = clock_timestamp(),
        expires_at = greatest(e.expires_at, excluded.expires_at);

-- name: is_known_network(username, network, ttl_s)$
-- Whether the owner of that account has logged in from there within ttl_s.
SELECT EXISTS (
    SELECT FROM known_networks AS k JOIN users AS u ON u.id = k.user_id
    WHERE lower(u.username) = lower(:username) AND k.network = :network
      AND k.last_login_at > now() - make_interval(secs => :ttl_s));

-- name: remember_network(user_id, network, at_most)!
-- Notes a login, once a day; where the network is new, the account keeps its at_most newest.
WITH added AS (
    INSERT INTO known_networks AS k (user_id, network) VALUES (:user_id, :network)
    ON CONFLICT (user_id, network) DO UPDATE SET last_login_at = now()
        WHERE k.last_login_at < now() - interval '1 day'
    RETURNING 1
)
DELETE FROM known_networks
WHERE user_id = :user_id AND EXISTS (SELECT FROM added) AND network IN (
    SELECT network FROM known_networks
    WHERE user_id = :user_id AND network <> :network
    ORDER BY last_login_at DESC
    OFFSET :at_most - 1);

-- name: delete_old_networks(ttl_s, at_most)$
WITH old AS (
    SELECT user_id, network FROM known_networks
    WHERE last_login_at <= now() - make_interval(secs => :ttl_s)
    LIMIT :at_most
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM known_networks AS k USING old
    WHERE k.user_id = old.user_id AND k.network = old.network
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- name: get_profile(user_id)^
SELECT id, username, email, last_lottery_at, created_at
FROM users
WHERE id = :user_id;

-- name: replace_password_hash(new_hash, user_id, old_hash)!
-- Only the hash that was read is replaced: a password changed meanwhile stays.
UPDATE users SET password_hash = :new_hash, updated_at = now()
WHERE id = :user_id AND password_hash = :old_hash;

-- name: set_admin(username, password_hash)^
-- Creates the administrator, or makes the user of that name one.
INSERT INTO users AS u (username, password_hash, role)
VALUES (:username, :password_hash, 'admin')
ON CONFLICT (lower(username)) DO UPDATE
    SET password_hash = excluded.password_hash, role = 'admin',
        token_generation = u.token_generation + 1, updated_at = now()
RETURNING id, token_generation;

-- Administration ---------------------------------------------------------

-- name: lock_administration()$
-- One change of accounts at a time, so that two do not take the last administrators away.
SELECT pg_advisory_xact_lock(hashtext('kuji.administration'));

-- name: lock_account(username)^
SELECT id, username, role, created_at, deactivated_at
FROM users
WHERE lower(username) = lower(:username)
FOR UPDATE;

-- name: list_staff()
SELECT id, username, role, created_at, deactivated_at
FROM users
WHERE role IN ('viewer', 'operator', 'admin')
ORDER BY id;

-- name: count_administrators()$
SELECT count(*) FROM users WHERE role = 'admin' AND deactivated_at IS NULL;

-- name: set_role(user_id, role)!
UPDATE users SET role = :role, updated_at = now() WHERE id = :user_id;

-- name: set_active(user_id, active)!
UPDATE users
SET deactivated_at = CASE WHEN CAST(:active AS boolean) THEN NULL ELSE now() END, updated_at = now()
WHERE id = :user_id;

-- name: add_audit(username, action, subject, detail)!
-- By an operator at the command line, who is no user.
INSERT INTO audit_log (user_id, username, action, subject, detail)
VALUES (0, :username, :action, :subject, CAST(:detail AS jsonb));

-- Refresh tokens ---------------------------------------------------------

-- name: open_login(token_hash, family, user_id, generation, ttl_s, user_agent)$
-- The first token of a login. Nothing where the account has been deactivated, or all its logins
-- were ended, since its credentials were checked: FOR SHARE waits for whoever does that.
WITH owner AS (
    SELECT id FROM users
    WHERE id = :user_id AND token_generation = :generation AND deactivated_at IS NULL
    FOR SHARE
), login AS (
    INSERT INTO logins (family, user_agent) SELECT :family, :user_agent FROM owner
)
INSERT INTO refresh_tokens (token_hash, family, user_id, expires_at)
SELECT :token_hash, :family, id, now() + make_interval(secs => :ttl_s) FROM owner
RETURNING true;

-- name: rotate_refresh_token(token_hash, next_hash, nonce, ttl_s)^
-- Spends a token and adds the next one of its family, or does nothing and
-- returns no row. Of two at once, the second waits for the first and then finds
-- the token spent. A family counts as revoked when any token of it is: a
-- revocation cannot see a token that is being added at the same moment.
WITH spent AS (
    UPDATE refresh_tokens AS t SET spent_at = now()
    WHERE t.token_hash = :token_hash AND t.spent_at IS NULL AND t.expires_at > now()
      AND NOT EXISTS (
          SELECT FROM refresh_tokens AS f
          WHERE f.family = t.family AND f.revoked_at IS NOT NULL)
    RETURNING t.family, t.user_id
), added AS (
    INSERT INTO refresh_tokens (
        token_hash, family, user_id, expires_at, parent_hash, derivation_nonce)
    SELECT :next_hash, family, user_id, now() + make_interval(secs => :ttl_s),
           :token_hash, :nonce
    FROM spent
    RETURNING user_id, family
)
SELECT added.family, u.id, u.username, u.password_hash, u.role, u.token_generation,
       u.deactivated_at IS NULL AS is_active
FROM added JOIN users AS u ON u.id = added.user_id;

-- name: get_unspent_successor(token_hash, grace_s)^
-- What a token was spent for at most grace_s ago, as long as that is good itself.
SELECT t.derivation_nonce, t.family, u.id, u.username, u.password_hash, u.role,
       u.token_generation, u.deactivated_at IS NULL AS is_active
FROM refresh_tokens AS t JOIN users AS u ON u.id = t.user_id
WHERE t.parent_hash = :token_hash AND t.created_at > now() - make_interval(secs => :grace_s)
  AND t.spent_at IS NULL AND t.expires_at > now()
  AND NOT EXISTS (
      SELECT FROM refresh_tokens AS f
      WHERE f.family = t.family AND f.revoked_at IS NOT NULL);

-- name: forget_derivations(grace_s, at_most)$
-- Empties what successors were derived from, where it is not asked for any more; how many.
WITH settled AS (
    SELECT token_hash FROM refresh_tokens
    WHERE parent_hash IS NOT NULL AND created_at <= now() - make_interval(secs => :grace_s)
    LIMIT :at_most
    FOR UPDATE SKIP LOCKED
), emptied AS (
    UPDATE refresh_tokens SET parent_hash = NULL, derivation_nonce = NULL FROM settled
    WHERE refresh_tokens.token_hash = settled.token_hash
    RETURNING 1
)
SELECT count(*) FROM emptied;

-- name: revoke_family_of_spent(token_hash, kept_s)$
-- Revokes the family of a token that was spent before; the number revoked by it.
WITH revoked AS (
    UPDATE refresh_tokens SET revoked_at = now()
    WHERE revoked_at IS NULL AND family = (
        SELECT family FROM refresh_tokens
        WHERE token_hash = :token_hash AND spent_at IS NOT NULL)
    RETURNING family
), ended AS (
    INSERT INTO ended_sessions (session_id, expires_at)
    SELECT DISTINCT family, now() + make_interval(secs => :kept_s) FROM revoked
    ON CONFLICT (session_id) DO NOTHING
)
SELECT count(*) FROM revoked;

-- name: revoke_family(token_hash, user_id)!
-- Revokes the login that a token of this user belongs to.
UPDATE refresh_tokens SET revoked_at = now()
WHERE revoked_at IS NULL AND family = (
    SELECT family FROM refresh_tokens
    WHERE token_hash = :token_hash AND user_id = :user_id);

-- name: list_sessions(user_id, at_most)
-- Logins of a user that go on, the one used last first.
SELECT t.family, coalesce(l.created_at, t.created_at) AS created_at,
       t.created_at AS last_used_at, coalesce(l.user_agent, '') AS user_agent
FROM refresh_tokens AS t LEFT JOIN logins AS l ON l.family = t.family
WHERE t.user_id = :user_id AND t.spent_at IS NULL AND t.revoked_at IS NULL
  AND t.expires_at > now()
  AND NOT EXISTS (
      SELECT FROM refresh_tokens AS f
      WHERE f.family = t.family AND f.revoked_at IS NOT NULL)
ORDER BY t.created_at DESC, t.family
LIMIT :at_most;

-- name: revoke_session(family, user_id, kept_s)$
-- Revokes a login of this user that goes on, its access tokens included; no row where there is none.
WITH living AS (
    SELECT t.family FROM refresh_tokens AS t
    WHERE t.family = :family AND t.user_id = :user_id
      AND t.spent_at IS NULL AND t.expires_at > now()
      AND NOT EXISTS (
          SELECT FROM refresh_tokens AS f
          WHERE f.family = t.family AND f.revoked_at IS NOT NULL)
), revoked AS (
    UPDATE refresh_tokens SET revoked_at = now() FROM living
    WHERE refresh_tokens.family = living.family AND revoked_at IS NULL
), ended AS (
    INSERT INTO ended_sessions (session_id, expires_at)
    SELECT family, now() + make_interval(secs => :kept_s) FROM living
    ON CONFLICT (session_id) DO NOTHING
)
SELECT true FROM living;

-- name: revoke_logins(user_id)!
-- Revokes every login of a user. One whose token is being spent at this moment too: its family
-- counts as revoked.
UPDATE refresh_tokens SET revoked_at = now()
WHERE revoked_at IS NULL AND family IN (
    SELECT family FROM refresh_tokens
    WHERE user_id = :user_id AND spent_at IS NULL AND revoked_at IS NULL);

-- name: delete_ended_tokens()!
-- Forgets access tokens that have expired meanwhile.
WITH generations AS (DELETE FROM ended_generations WHERE expires_at <= now())
DELETE FROM ended_sessions WHERE expires_at <= now();

-- name: delete_expired_refresh_tokens(at_most)$
-- Deletes up to at_most expired tokens, and logins that have no others; the number of tokens. A
-- revoked one stays as long as its family has tokens: it is what keeps them revoked.
WITH expired AS (
    SELECT t.token_hash FROM refresh_tokens AS t
    WHERE t.expires_at <= now() AND (t.revoked_at IS NULL OR NOT EXISTS (
        SELECT FROM refresh_tokens AS f
        WHERE f.family = t.family AND f.expires_at > now()))
    LIMIT :at_most
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM refresh_tokens USING expired
    WHERE refresh_tokens.token_hash = expired.token_hash
    RETURNING family
), gone AS (
    DELETE FROM logins USING deleted
    WHERE logins.family = deleted.family AND NOT EXISTS (
        SELECT FROM refresh_tokens AS f
        WHERE f.family = logins.family AND f.expires_at > now())
)
SELECT count(*) FROM deleted;

-- Signing keys -----------------------------------------------------------

-- name: lock_signing_keys()$
-- One process at a time adds a key; held to the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('kuji.signing_keys'));

-- name: list_keys()
SELECT kid, public_jwk, private_key, created_at, not_after, public_jwk ->> 'alg' AS algorithm
FROM (TABLE signing_keys UNION ALL TABLE login_keys) AS keys
WHERE not_after IS NULL OR not_after > now()
ORDER BY created_at, kid;

-- name: add_first_signing_key(kid, public_jwk, private_key)!
INSERT INTO signing_keys (kid, public_jwk, private_key, created_at)
SELECT :kid, :public_jwk::jsonb, :private_key, clock_timestamp()
WHERE NOT EXISTS (SELECT FROM signing_keys WHERE not_after IS NULL);

-- name: add_first_login_key(kid, public_jwk, private_key)!
INSERT INTO login_keys (kid, public_jwk, private_key, created_at)
SELECT :kid, :public_jwk::jsonb, :private_key, clock_timestamp()
WHERE NOT EXISTS (SELECT FROM login_keys WHERE not_after IS NULL);

-- name: add_signing_key(kid, public_jwk, private_key)!
-- clock_timestamp(), since now() would be from before the wait for the lock.
INSERT INTO signing_keys (kid, public_jwk, private_key, created_at)
VALUES (:kid, :public_jwk::jsonb, :private_key, clock_timestamp());

-- name: add_login_key(kid, public_jwk, private_key)!
-- Likewise.
INSERT INTO login_keys (kid, public_jwk, private_key, created_at)
VALUES (:kid, :public_jwk::jsonb, :private_key, clock_timestamp());

-- name: retire_keys(after_s)!
WITH retired AS (
    UPDATE signing_keys SET not_after = clock_timestamp() + make_interval(secs => :after_s)
    WHERE not_after IS NULL
)
UPDATE login_keys SET not_after = clock_timestamp() + make_interval(secs => :after_s)
WHERE not_after IS NULL;

-- name: delete_expired_keys()!
WITH deleted AS (DELETE FROM signing_keys WHERE not_after <= now())
DELETE FROM login_keys WHERE not_after <= now();

-- Bulk accounts ----------------------------------------------------------

-- name: get_bulk_accounts(prefix)^
SELECT created, password_hash FROM bulk_accounts WHERE prefix = :prefix;

-- name: begin_bulk_accounts(prefix, password_hash)!
INSERT INTO bulk_accounts (prefix, password_hash) VALUES (:prefix, :password_hash)
ON CONFLICT (prefix) DO NOTHING;

-- name: lock_bulk_accounts(prefix)^
-- One chunk at a time, however many make them.
SELECT created, password_hash FROM bulk_accounts WHERE prefix = :prefix FOR UPDATE;

-- name: note_bulk_accounts(prefix, created)!
UPDATE bulk_accounts SET created = :created WHERE prefix = :prefix;

-- name: add_missing_bulk_accounts(prefix, first, last, password_hash)$
-- Where COPY met a name that somebody has: the others; how many.
WITH added AS (
    INSERT INTO accounts (username, password_hash)
    SELECT CAST(:prefix AS text) || number, :password_hash
    FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number
    ON CONFLICT (lower(username)) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM added;

-- name: list_for_tokens(after, prefix, at_most)
-- Users in the order of their ids, those whose names begin with prefix; administrators are none.
SELECT id, username, token_generation
FROM accounts
WHERE id > :after AND role = 'user' AND deactivated_at IS NULL
  AND starts_with(username, CAST(:prefix AS text))
ORDER BY id
LIMIT :at_most;

-- Accounts from a file ---------------------------------------------------

-- name: import_accounts(usernames, password_hashes, emails)$
-- Adds those whose names are free; how many.
WITH added AS (
    INSERT INTO accounts (username, password_hash, email)
    SELECT username, password_hash, email
    FROM unnest(CAST(:usernames AS text[]), CAST(:password_hashes AS text[]),
                CAST(:emails AS text[])) AS entry (username, password_hash, email)
    ON CONFLICT (lower(username)) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM added;

-- name: list_taken_names(lines, usernames, emails)
-- The lines whose name belongs to an account with another e-mail address.
SELECT entry.line
FROM unnest(CAST(:lines AS bigint[]), CAST(:usernames AS text[]), CAST(:emails AS text[]))
     AS entry (line, username, email)
JOIN accounts AS a ON lower(a.username) = lower(entry.username)
WHERE lower(a.email) <> lower(entry.email)
ORDER BY entry.line;

-- name: is_blocked(address)$
SELECT EXISTS (
    SELECT FROM blocks
    WHERE network >>= CAST(:address AS inet)
      AND lifted_at IS NULL AND (until IS NULL OR until > clock_timestamp())
);
