-- The whole schema of the first version. Forward only.

-- ---------------------------------------------------------------- users
CREATE TABLE users (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username        text NOT NULL CHECK (username ~ '^[A-Za-z0-9_.-]{3,32}$'),
    password_hash   text NOT NULL,
    email           text NOT NULL DEFAULT '' CHECK (length(email) <= 254),
    role            text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    last_lottery_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX users_username ON users (lower(username));

-- Keys that sign access tokens. Private halves are encrypted by the auth
-- service (AES-256-GCM, key id as associated data).
CREATE TABLE signing_keys (
    kid          text PRIMARY KEY,
    public_jwk   jsonb NOT NULL,
    private_key  bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    not_after    timestamptz
);

-- One row per refresh token ever issued; only its SHA-256 is kept. All tokens
-- of one login share its family, so that reuse revokes them together.
CREATE TABLE refresh_tokens (
    token_hash  bytea PRIMARY KEY,
    family      uuid NOT NULL,
    user_id     bigint NOT NULL REFERENCES users (id),
    expires_at  timestamptz NOT NULL,
    spent_at    timestamptz,
    revoked_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);

-- ---------------------------------------------------------------- pools
-- Ids and versions come from sequences: a number handed out is never handed
-- out again, also when its transaction rolls back. That is what lets the store
-- refuse a publication that arrives late.
CREATE SEQUENCE pool_ids;
CREATE SEQUENCE pool_versions_seq;

-- A pool's seed, encrypted by the draw service (AES-256-GCM, pool id as
-- associated data). Write-once: see the trigger below.
CREATE TABLE pool_seeds (
    pool_id         bigint PRIMARY KEY,
    commitment      bytea NOT NULL CHECK (length(commitment) = 32),
    encrypted_seed  bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- A revealed seed. A row appears when the pool has ended, and stays.
CREATE TABLE pool_reveals (
    pool_id      bigint PRIMARY KEY REFERENCES pool_seeds (pool_id),
    seed         bytea NOT NULL CHECK (length(seed) = 32),
    revealed_at  timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is write-once: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER pool_seeds_write_once BEFORE UPDATE OR DELETE ON pool_seeds
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pool_seeds_no_truncate BEFORE TRUNCATE ON pool_seeds
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pool_reveals_write_once BEFORE UPDATE OR DELETE ON pool_reveals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER pool_reveals_no_truncate BEFORE TRUNCATE ON pool_reveals
    EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_reveal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF sha256(NEW.seed) IS DISTINCT FROM
       (SELECT commitment FROM pool_seeds WHERE pool_id = NEW.pool_id) THEN
        RAISE EXCEPTION 'seed of pool % does not match its commitment', NEW.pool_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER pool_reveals_match BEFORE INSERT ON pool_reveals
    FOR EACH ROW EXECUTE FUNCTION check_reveal();

-- A pool and how far its ledger is recorded. The recorder alone writes the
-- recorded_* columns, in the transaction that writes the rows they count.
CREATE TABLE pools (
    id                bigint PRIMARY KEY,
    mode              text NOT NULL CHECK (mode IN ('odds', 'tickets', 'weights')),
    seed_commitment   bytea NOT NULL CHECK (length(seed_commitment) = 32),
    version           bigint NOT NULL DEFAULT 0,  -- newest one published
    recorded_seq      bigint NOT NULL DEFAULT 0,  -- newest draw in Postgres
    recorded_version  bigint NOT NULL DEFAULT 0,  -- newest configuration seen in the ledger
    draws             bigint NOT NULL DEFAULT 0,
    wins              bigint NOT NULL DEFAULT 0,
    unique_users      bigint NOT NULL DEFAULT 0,
    halted_reason     text NOT NULL DEFAULT '',   -- why the recorder stopped on it; '': it did not
    created_at        timestamptz NOT NULL DEFAULT now(),
    CHECK (wins <= draws AND unique_users <= draws)
) WITH (fillfactor = 50);

-- Every configuration that ever held, as the ledger gives it.
CREATE TABLE pool_versions (
    pool_id      bigint NOT NULL REFERENCES pools (id),
    version      bigint NOT NULL,
    after_seq    bigint NOT NULL,     -- holds for the draws after this one
    config       json NOT NULL,       -- kuji.draw.v1.PoolConfig, the very text of the ledger
    units        json NOT NULL,       -- [[prize id, units in all, units left], ...] after the change
    changed_at   timestamptz NOT NULL,
    link         bytea NOT NULL,      -- of its ledger entry
    PRIMARY KEY (pool_id, version)
);

-- The links of the ledger's draw entries, one row for each batch of the recorder: entry i
-- ends at seqs[i] and has links[i]. Entries, and so links, bind the ledger; see docs/redis-keys.md.
CREATE TABLE ledger_links (
    pool_id   bigint NOT NULL,
    last_seq  bigint NOT NULL,        -- the newest of seqs
    seqs      bigint[] NOT NULL,
    links     bytea[] NOT NULL,
    PRIMARY KEY (pool_id, last_seq)
);

-- Spans of seq that were never used: a rebuilt pool starts after one.
CREATE TABLE ledger_gaps (
    pool_id     bigint NOT NULL REFERENCES pools (id),
    first_seq   bigint NOT NULL,
    last_seq    bigint NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pool_id, first_seq),
    CHECK (first_seq <= last_seq)
);

-- ---------------------------------------------------------------- lottery
-- The status column is what the operator wants; time does the rest: an open
-- activity is planned before start_time and ended from end_time on.
CREATE TABLE activities (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool_id             bigint NOT NULL UNIQUE REFERENCES pools (id),
    name                text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description         text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    start_time          timestamptz NOT NULL,
    end_time            timestamptz CHECK (end_time > start_time),
    status              text NOT NULL CHECK (status IN ('open', 'paused', 'ended')),
    cooldown_seconds    integer NOT NULL DEFAULT 0 CHECK (cooldown_seconds >= 0),
    max_draws_per_user  integer NOT NULL DEFAULT 0 CHECK (max_draws_per_user >= 0),
    max_draws_per_day   integer NOT NULL DEFAULT 0 CHECK (max_draws_per_day >= 0),
    max_wins_per_user   integer NOT NULL DEFAULT 0 CHECK (max_wins_per_user >= 0),
    time_zone           text NOT NULL DEFAULT 'UTC',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION activity_status(status text, start_time timestamptz, end_time timestamptz, at timestamptz)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN status = 'ended' OR at >= end_time THEN 'ended'
        WHEN status = 'paused' THEN 'paused'
        WHEN at < start_time THEN 'planned'
        ELSE 'ongoing'
    END
$$;

-- total_count is set by the administration, won_count by the recorder alone.
-- More winners than units cannot be stored.
CREATE TABLE prizes (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    activity_id        bigint NOT NULL REFERENCES activities (id),
    pool_id            bigint NOT NULL REFERENCES pools (id),
    name               text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description        text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    image_url          text NOT NULL DEFAULT '' CHECK (length(image_url) <= 2000),
    total_count        integer NOT NULL CHECK (total_count BETWEEN 0 AND 1000000000),
    won_count          integer NOT NULL DEFAULT 0 CHECK (won_count >= 0),
    remaining_count    integer GENERATED ALWAYS AS (total_count - won_count) STORED,
    probability_ppb    bigint NOT NULL CHECK (probability_ppb BETWEEN 0 AND 1000000000),
    probability        numeric(10, 9) GENERATED ALWAYS AS (probability_ppb / 1000000000.0) STORED,
    max_wins_per_user  integer NOT NULL DEFAULT 0 CHECK (max_wins_per_user >= 0),
    is_enabled         boolean NOT NULL DEFAULT true,
    deleted_at         timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT prizes_never_oversold CHECK (won_count <= total_count)
) WITH (fillfactor = 50);
CREATE INDEX prizes_activity ON prizes (activity_id, id);
CREATE INDEX prizes_pool ON prizes (pool_id, id);

-- The ledger: every draw of every pool, misses included, written by COPY.
-- No foreign keys: the recorder is the only writer and this is the hot table.
CREATE TABLE lottery_records (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    pool_id       bigint NOT NULL,
    seq           bigint NOT NULL,
    activity_id   bigint,
    user_id       bigint NOT NULL,
    request_id    text NOT NULL,
    draw_index    smallint NOT NULL,   -- place within a draw of n, from 0
    draw_count    smallint NOT NULL,   -- the n
    user_draw_no  integer NOT NULL,    -- this user's how-manieth draw in the pool
    version       bigint NOT NULL,     -- configuration that held
    prize_id      bigint,              -- null: a miss
    prize_name    text,
    ticket        bigint NOT NULL,     -- the number drawn, 0 … odds_total − 1
    odds_weight   bigint NOT NULL,     -- weight of this outcome then
    odds_total    bigint NOT NULL,     -- all weights then
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (pool_id, seq)
);
CREATE INDEX lottery_records_user ON lottery_records (user_id, created_at DESC);

-- The winner list. win_no has no gaps, over all and within a pool, so that
-- any page is one index range.
CREATE TABLE winners (
    win_no       bigint PRIMARY KEY,
    pool_id      bigint NOT NULL,
    pool_win_no  bigint NOT NULL,
    seq          bigint NOT NULL,
    activity_id  bigint,
    user_id      bigint NOT NULL,
    prize_id     bigint NOT NULL,
    prize_name   text NOT NULL,
    prize_code   text NOT NULL UNIQUE,
    won_at       timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (pool_id, pool_win_no),
    UNIQUE (pool_id, seq)
);
CREATE INDEX winners_user ON winners (user_id, win_no DESC);

-- The newest win_no: the recorder takes its numbers here, last thing before
-- it commits, so that they become visible in order.
CREATE TABLE winner_counter (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    win_no    bigint NOT NULL
);
INSERT INTO winner_counter (win_no) VALUES (0);

-- Users who may not draw. until: null is for good; lifted_at: not any more.
CREATE TABLE blocks (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL,
    reason      text NOT NULL CHECK (length(reason) <= 2000),
    until       timestamptz,
    created_by  bigint NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    lifted_at   timestamptz
);
CREATE UNIQUE INDEX blocks_active ON blocks (user_id) WHERE lifted_at IS NULL;

-- ---------------------------------------------------------------- audit
CREATE TABLE audit_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL,
    username    text NOT NULL,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now()
);
