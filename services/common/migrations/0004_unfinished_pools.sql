-- Pools that are over become ever more. Those who look for pools with work left, some of them
-- several times a second, find them by indexes that stay short.
CREATE INDEX pools_behind ON pools (id) WHERE recorded_version < version;
CREATE INDEX pools_halted ON pools (id) WHERE halted_reason <> '';

ALTER TABLE pools ADD COLUMN is_revealed boolean NOT NULL DEFAULT false;  -- see pool_reveals
CREATE INDEX pools_unrevealed ON pools (id) WHERE NOT is_revealed;

CREATE FUNCTION note_reveal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pools SET is_revealed = true WHERE id = NEW.pool_id;
    RETURN NULL;
END $$;
CREATE TRIGGER pool_reveals_noted AFTER INSERT ON pool_reveals
    FOR EACH ROW EXECUTE FUNCTION note_reveal();
UPDATE pools SET is_revealed = true FROM pool_reveals WHERE pool_reveals.pool_id = pools.id;
