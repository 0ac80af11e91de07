-- An activity without a start_time is planned until its operator opens it.
ALTER TABLE activities ALTER COLUMN start_time DROP NOT NULL;

CREATE OR REPLACE FUNCTION activity_status(status text, start_time timestamptz, end_time timestamptz, at timestamptz)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN status = 'ended' OR at >= end_time THEN 'ended'
        WHEN status = 'paused' THEN 'paused'
        WHEN start_time IS NULL OR at < start_time THEN 'planned'
        ELSE 'ongoing'
    END
$$;
