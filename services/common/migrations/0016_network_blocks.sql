-- Blocks of ranges of addresses beside those of users: each is of one of the two.
ALTER TABLE blocks ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE blocks ADD COLUMN network cidr;
ALTER TABLE blocks ADD CONSTRAINT blocks_of_one CHECK ((user_id IS NULL) <> (network IS NULL));
CREATE UNIQUE INDEX blocks_active_network ON blocks (network) WHERE lifted_at IS NULL;
-- Which ranges an address is in: asked with each login.
CREATE INDEX blocks_around ON blocks USING gist (network inet_ops)
    WHERE lifted_at IS NULL AND network IS NOT NULL;
