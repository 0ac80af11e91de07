-- Users ------------------------------------------------------------------

-- name: add_user(username, password_hash, email)^
-- No row where the name is taken, in this or another case.
INSERT INTO users (username, password_hash, email)
VALUES (:username, :password_hash, :email)
ON CONFLICT (lower(username)) DO NOTHING
RETURNING id, username, password_hash, role;

-- name: find_user(username)^
SELECT id, username, password_hash, role
FROM users
WHERE lower(username) = lower(:username);

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

-- name: set_admin(username, password_hash)!
-- Creates the administrator, or makes the user of that name one. Sessions from
-- before do not inherit the role.
WITH administrator AS (
    INSERT INTO users (username, password_hash, role)
    VALUES (:username, :password_hash, 'admin')
    ON CONFLICT (lower(username)) DO UPDATE
        SET password_hash = excluded.password_hash, role = 'admin', updated_at = now()
    RETURNING id
)
UPDATE refresh_tokens SET revoked_at = now()
FROM administrator
WHERE refresh_tokens.user_id = administrator.id AND revoked_at IS NULL;

-- Refresh tokens ---------------------------------------------------------

-- name: add_refresh_token(token_hash, family, user_id, ttl_s)!
INSERT INTO refresh_tokens (token_hash, family, user_id, expires_at)
VALUES (:token_hash, :family, :user_id, now() + make_interval(secs => :ttl_s));

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
    RETURNING user_id
)
SELECT u.id, u.username, u.password_hash, u.role
FROM added JOIN users AS u ON u.id = added.user_id;

-- name: get_unspent_successor(token_hash, grace_s)^
-- What a token was spent for at most grace_s ago, as long as that is good itself.
SELECT t.derivation_nonce, u.id, u.username, u.password_hash, u.role
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

-- name: revoke_family_of_spent(token_hash)$
-- Revokes the family of a token that was spent before; the number revoked by it.
WITH revoked AS (
    UPDATE refresh_tokens SET revoked_at = now()
    WHERE revoked_at IS NULL AND family = (
        SELECT family FROM refresh_tokens
        WHERE token_hash = :token_hash AND spent_at IS NOT NULL)
    RETURNING 1
)
SELECT count(*) FROM revoked;

-- name: revoke_family(token_hash, user_id)!
-- Revokes the login that a token of this user belongs to.
UPDATE refresh_tokens SET revoked_at = now()
WHERE revoked_at IS NULL AND family = (
    SELECT family FROM refresh_tokens
    WHERE token_hash = :token_hash AND user_id = :user_id);

-- name: delete_expired_refresh_tokens(at_most)$
-- Deletes up to at_most expired tokens; the number deleted. A revoked one stays
-- as long as its family has tokens: it is what keeps them revoked.
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
    RETURNING 1
)
SELECT count(*) FROM deleted;

-- Signing keys -----------------------------------------------------------

-- name: lock_signing_keys()$
-- One process at a time adds a key; held to the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('kuji.signing_keys'));

-- name: list_signing_keys()
SELECT kid, public_jwk, private_key, created_at, not_after
FROM signing_keys
WHERE not_after IS NULL OR not_after > now()
ORDER BY created_at, kid;

-- name: add_first_signing_key(kid, public_jwk, private_key)!
INSERT INTO signing_keys (kid, public_jwk, private_key, created_at)
SELECT :kid, :public_jwk::jsonb, :private_key, clock_timestamp()
WHERE NOT EXISTS (SELECT FROM signing_keys WHERE not_after IS NULL);

-- name: add_signing_key(kid, public_jwk, private_key)!
-- clock_timestamp(), since now() would be from before the wait for the lock.
INSERT INTO signing_keys (kid, public_jwk, private_key, created_at)
VALUES (:kid, :public_jwk::jsonb, :private_key, clock_timestamp());

-- name: retire_signing_keys(after_s)!
UPDATE signing_keys SET not_after = clock_timestamp() + make_interval(secs => :after_s)
WHERE not_after IS NULL;

-- name: delete_expired_signing_keys()!
DELETE FROM signing_keys WHERE not_after <= now();
