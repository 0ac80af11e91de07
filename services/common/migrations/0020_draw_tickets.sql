-- What is asked of users before they draw: see Activity.ticket_required in admin.proto.
ALTER TABLE activities
    ADD COLUMN ticket_required boolean NOT NULL DEFAULT false,
    ADD COLUMN ticket_difficulty integer NOT NULL DEFAULT 0
        CHECK (ticket_difficulty BETWEEN 0 AND 32),
    ADD COLUMN ticket_spread_ms integer NOT NULL DEFAULT 0
        CHECK (ticket_spread_ms BETWEEN 0 AND 3600000);
