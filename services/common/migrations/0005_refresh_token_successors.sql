-- A refresh whose answer was lost is answered again for a few seconds. The token that was handed
-- out is a MAC, keyed by the token it replaced, over derivation_nonce: whoever holds neither token
-- derives nothing. Both columns are emptied soon after.
ALTER TABLE refresh_tokens
    ADD COLUMN parent_hash bytea,       -- SHA-256 of the token that this one replaced
    ADD COLUMN derivation_nonce bytea CHECK (length(derivation_nonce) = 32);
CREATE UNIQUE INDEX refresh_tokens_parent ON refresh_tokens (parent_hash)
    WHERE parent_hash IS NOT NULL;

-- Whether a login is revoked is asked at each refresh, of all tokens it ever had.
CREATE INDEX refresh_tokens_revoked ON refresh_tokens (family) WHERE revoked_at IS NOT NULL;
