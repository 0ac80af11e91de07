-- People who run Kuji may read (viewer), run campaigns (operator), or do everything (admin).
-- Not validated: what is there has one of two of these, and to look through ten million accounts
-- would lock them meanwhile.
ALTER TABLE accounts
    DROP CONSTRAINT users_role_check,
    ADD CONSTRAINT accounts_role_check
        CHECK (role IN ('user', 'viewer', 'operator', 'admin')) NOT VALID;
