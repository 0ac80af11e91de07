-- Units that may have been announced by draws which were lost with Redis: `kuji rebuild` holds them
-- back, and nobody can win them until `kuji release` gives them back.
-- total_count = remaining_count + won_count + held_count.
ALTER TABLE prizes ADD COLUMN held_count integer NOT NULL DEFAULT 0 CHECK (held_count >= 0);
ALTER TABLE prizes DROP COLUMN remaining_count;
ALTER TABLE prizes ADD COLUMN remaining_count integer
    GENERATED ALWAYS AS (total_count - won_count - held_count) STORED;
ALTER TABLE prizes DROP CONSTRAINT prizes_never_oversold;
ALTER TABLE prizes ADD CONSTRAINT prizes_never_oversold
    CHECK (won_count + held_count <= total_count);
