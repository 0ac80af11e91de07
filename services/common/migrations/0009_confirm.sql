-- What an answered win has to survive: see Activity.confirm in admin.proto.
ALTER TABLE activities ADD COLUMN confirm text NOT NULL DEFAULT 'store'
    CHECK (confirm IN ('store', 'replica', 'recorded'));
ALTER TABLE goods ADD COLUMN confirm text NOT NULL DEFAULT 'store'
    CHECK (confirm IN ('store', 'replica', 'recorded'));
