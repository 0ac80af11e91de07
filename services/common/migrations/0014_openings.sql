-- Boxes that an operator wants to be open. They are opened one by one; those that a call could not
-- get to are opened by the finisher.
ALTER TABLE goods ADD COLUMN boxes_wanted integer NOT NULL DEFAULT 0;
