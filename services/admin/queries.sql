-- name: now()$
-- This moment by Postgres's clock, in the precision of the draw's.
SELECT date_trunc('milliseconds', clock_timestamp());

-- name: pool_of_activity(activity_id)$
SELECT pool_id FROM activities WHERE id = :activity_id;

-- name: pool_of_prize(prize_id)$
-- A box's prizes are no activity's.
SELECT pool_id FROM prizes WHERE id = :prize_id AND activity_id IS NOT NULL;

-- name: insert_pool(pool_id, mode, seed_commitment)!
INSERT INTO pools (id, mode, seed_commitment)
VALUES (:pool_id, :mode, decode(:seed_commitment, 'hex'));

-- name: lock_pool(pool_id)$
-- Changes of one pool pass here one after the other. Returns its version. Orders, whose foreign
-- key looks at the row, pass meanwhile.
SELECT version FROM pools WHERE id = :pool_id FOR NO KEY UPDATE;

-- name: pool_version(pool_id)$
SELECT version FROM pools WHERE id = :pool_id;

-- name: next_version()$
SELECT nextval('pool_versions_seq');

-- name: set_pool_version(version, pool_id)!
UPDATE pools SET version = :version WHERE id = :pool_id;

-- name: insert_activity(pool_id, terms)$
INSERT INTO activities (
    pool_id, name, description, start_time, end_time, status, cooldown_seconds,
    max_draws_per_user, max_draws_per_day, max_wins_per_user, time_zone, confirm,
    ticket_required, ticket_difficulty, ticket_spread_ms)
VALUES (
    :pool_id, :terms.name, :terms.description, :terms.start_time, :terms.end_time, :terms.wish,
    :terms.cooldown_seconds, :terms.max_draws_per_user, :terms.max_draws_per_day,
    :terms.max_wins_per_user, :terms.time_zone, :terms.confirm,
    :terms.ticket_required, :terms.ticket_difficulty, :terms.ticket_spread_ms)
RETURNING id;

-- name: update_activity(terms, pool_id)!
UPDATE activities
SET name = :terms.name,
    description = :terms.description,
    start_time = :terms.start_time,
    end_time = :terms.end_time,
    status = :terms.wish,
    cooldown_seconds = :terms.cooldown_seconds,
    max_draws_per_user = :terms.max_draws_per_user,
    max_draws_per_day = :terms.max_draws_per_day,
    max_wins_per_user = :terms.max_wins_per_user,
    time_zone = :terms.time_zone,
    confirm = :terms.confirm,
    ticket_required = :terms.ticket_required,
    ticket_difficulty = :terms.ticket_difficulty,
    ticket_spread_ms = :terms.ticket_spread_ms,
    updated_at = clock_timestamp()
WHERE pool_id = :pool_id;

-- name: activity_of_pool(pool_id)^
SELECT a.id, a.pool_id, a.name, a.description, a.start_time, a.end_time, a.status,
       a.cooldown_seconds, a.max_draws_per_user, a.max_draws_per_day, a.max_wins_per_user,
       a.time_zone, a.confirm, a.ticket_required, a.ticket_difficulty, a.ticket_spread_ms,
       a.created_at, a.updated_at,
       encode(p.seed_commitment, 'hex') AS seed_commitment,
       activity_status(a.status, a.start_time, a.end_time, clock_timestamp()) AS phase
FROM activities a
JOIN pools p ON p.id = a.pool_id
WHERE a.pool_id = :pool_id;

-- name: activities(row_limit, row_offset)
-- Newest first.
SELECT a.id, a.pool_id, a.name, a.description, a.start_time, a.end_time, a.status,
       a.cooldown_seconds, a.max_draws_per_user, a.max_draws_per_day, a.max_wins_per_user,
       a.time_zone, a.confirm, a.ticket_required, a.ticket_difficulty, a.ticket_spread_ms,
       a.created_at, a.updated_at,
       encode(p.seed_commitment, 'hex') AS seed_commitment,
       activity_status(a.status, a.start_time, a.end_time, clock_timestamp()) AS phase
FROM activities a
JOIN pools p ON p.id = a.pool_id
ORDER BY a.id DESC
LIMIT :row_limit OFFSET :row_offset;

-- name: insert_prize(activity_id, pool_id, terms)$
INSERT INTO prizes (
    activity_id, pool_id, name, description, image_url, total_count, probability_ppb,
    max_wins_per_user, is_enabled, unit_cost)
VALUES (
    :activity_id, :pool_id, :terms.name, :terms.description, :terms.image_url,
    :terms.total_count, :terms.probability_ppb, :terms.max_wins_per_user, :terms.is_enabled,
    :terms.unit_cost)
RETURNING id;

-- name: update_prize(terms, prize_id)!
UPDATE prizes
SET name = :terms.name,
    description = :terms.description,
    image_url = :terms.image_url,
    total_count = :terms.total_count,
    probability_ppb = :terms.probability_ppb,
    max_wins_per_user = :terms.max_wins_per_user,
    is_enabled = :terms.is_enabled,
    unit_cost = :terms.unit_cost,
    updated_at = clock_timestamp()
WHERE id = :prize_id;

-- name: delete_prize(prize_id)!
-- Nothing of it can be won any more, so nothing is held back.
UPDATE prizes
SET is_enabled = false, held_count = 0, deleted_at = clock_timestamp(),
    updated_at = clock_timestamp()
WHERE id = :prize_id;

-- name: set_units_of_deleted(prize_ids, units)!
-- The units of a deleted prize are what is won of it; the live store knows.
UPDATE prizes AS p
SET total_count = live.units
FROM unnest(CAST(:prize_ids AS bigint[]), CAST(:units AS integer[])) AS live (prize_id, units)
WHERE p.id = live.prize_id AND p.deleted_at IS NOT NULL AND p.total_count <> live.units;

-- name: prizes_of_pools(pool_ids)
-- All that they ever had, the deleted included, in the order of creation.
SELECT id, activity_id, name, description, image_url, total_count, won_count, held_count,
       probability_ppb, max_wins_per_user, is_enabled, unit_cost, deleted_at IS NOT NULL AS is_deleted,
       created_at, updated_at
FROM prizes
WHERE pool_id = ANY(CAST(:pool_ids AS bigint[]))
ORDER BY id;

-- name: prizes(activity_id, row_limit, row_offset)
-- Those that are not deleted, in the order of creation; activity 0: of all activities.
SELECT id, activity_id, name, description, image_url, total_count, won_count, held_count,
       probability_ppb, max_wins_per_user, is_enabled, unit_cost, deleted_at IS NOT NULL AS is_deleted,
       created_at, updated_at
FROM prizes
WHERE deleted_at IS NULL AND activity_id IS NOT NULL
  AND (CAST(:activity_id AS bigint) = 0 OR activity_id = CAST(:activity_id AS bigint))
ORDER BY id
LIMIT :row_limit OFFSET :row_offset;

-- name: insert_audit(user_id, username, action, subject, detail)!
INSERT INTO audit_log (user_id, username, action, subject, detail)
VALUES (:user_id, :username, :action, :subject, CAST(:detail AS jsonb));

-- name: audit_log(row_limit, row_offset)
-- Newest first.
SELECT id, username, action, subject, detail, created_at
FROM audit_log
ORDER BY id DESC
LIMIT :row_limit OFFSET :row_offset;

-- name: last_audit_id()$
SELECT coalesce(max(id), 0) FROM audit_log;

-- name: audit_span(span, last, row_limit)
-- Of a time, of one subject ('': of all), oldest first.
SELECT id, username, action, subject, detail, created_at
FROM audit_log
WHERE id > :span.after AND id <= :last
  AND (CAST(:span.since AS timestamptz) IS NULL OR created_at >= :span.since)
  AND (CAST(:span.until AS timestamptz) IS NULL OR created_at < :span.until)
  AND (CAST(:span.subject AS text) = '' OR subject = :span.subject)
ORDER BY id
LIMIT :row_limit;

-- name: totals(activity_id)^
-- Over all activities, or over one.
SELECT CAST(coalesce(sum(p.draws), 0) AS bigint) AS draws,
       CAST(coalesce(sum(p.wins), 0) AS bigint) AS wins,
       CAST(coalesce(sum(p.unique_users), 0) AS bigint) AS unique_users
FROM pools p
JOIN activities a ON a.pool_id = p.id
WHERE CAST(:activity_id AS bigint) = 0 OR a.id = CAST(:activity_id AS bigint);

-- name: books(activity_id, row_limit)
-- The newest activities, or one, and how far their ledgers are recorded.
SELECT a.id, a.pool_id, a.name, p.version, p.recorded_seq, p.draws, p.wins, p.unique_users,
       activity_status(a.status, a.start_time, a.end_time, clock_timestamp()) AS phase
FROM activities a
JOIN pools p ON p.id = a.pool_id
WHERE CAST(:activity_id AS bigint) = 0 OR a.id = CAST(:activity_id AS bigint)
ORDER BY a.id DESC
LIMIT :row_limit;

-- name: lock_blocks()$
-- One change at a time, until it is committed; whoever puts the list back in Redis waits for it.
SELECT pg_advisory_xact_lock(hashtext('kuji.blocks'));

-- name: find_user(user_id, username)$
-- By id; where that is 0, by name, whatever its case.
SELECT id
FROM users
WHERE id = :user_id OR (CAST(:user_id AS bigint) = 0 AND lower(username) = lower(:username));

-- name: retire_block(user_id, network)!
-- A block that has run out makes room for a new one.
UPDATE blocks
SET lifted_at = until
WHERE (user_id = :user_id OR network = CAST(:network AS cidr))
  AND lifted_at IS NULL AND until <= clock_timestamp();

-- name: put_block(user_id, reason, until, created_by)$
INSERT INTO blocks (user_id, reason, until, created_by)
VALUES (:user_id, :reason, :until, :created_by)
ON CONFLICT (user_id) WHERE lifted_at IS NULL
DO UPDATE SET reason = excluded.reason, until = excluded.until
RETURNING id;

-- name: put_network_block(network, reason, until, created_by)$
INSERT INTO blocks (network, reason, until, created_by)
VALUES (CAST(:network AS cidr), :reason, :until, :created_by)
ON CONFLICT (network) WHERE lifted_at IS NULL
DO UPDATE SET reason = excluded.reason, until = excluded.until
RETURNING id;

-- name: count_networks(network)$
-- How many other ranges are blocked.
SELECT count(*) FROM blocks
WHERE network <> CAST(:network AS cidr)
  AND lifted_at IS NULL AND (until IS NULL OR until > clock_timestamp());

-- name: lift_block(block_id)$
-- Its id; none where it was lifted already.
UPDATE blocks
SET lifted_at = clock_timestamp()
WHERE id = :block_id AND lifted_at IS NULL
RETURNING id;

-- name: block(block_id)^
SELECT b.id, b.user_id, u.username, b.network, b.reason, b.until, b.created_at,
       b.lifted_at IS NULL AND (b.until IS NULL OR b.until > clock_timestamp()) AS is_active
FROM blocks b
LEFT JOIN users u ON u.id = b.user_id
WHERE b.id = :block_id;

-- name: holding_block(user_id, network)^
-- The block that holds of a user or (user null) of a range.
SELECT b.id, b.user_id, u.username, b.network, b.reason, b.until, b.created_at, true AS is_active
FROM blocks b
LEFT JOIN users u ON u.id = b.user_id
WHERE (b.user_id = :user_id OR b.network = CAST(:network AS cidr))
  AND b.lifted_at IS NULL AND (b.until IS NULL OR b.until > clock_timestamp());

-- name: blocks(user_id, row_limit, row_offset)
-- Those that hold, newest first; user 0: of all, and of addresses.
SELECT b.id, b.user_id, u.username, b.network, b.reason, b.until, b.created_at, true AS is_active
FROM blocks b
LEFT JOIN users u ON u.id = b.user_id
WHERE b.lifted_at IS NULL AND (b.until IS NULL OR b.until > clock_timestamp())
  AND (CAST(:user_id AS bigint) = 0 OR b.user_id = CAST(:user_id AS bigint))
ORDER BY b.id DESC
LIMIT :row_limit OFFSET :row_offset;

-- name: overdue_pools(grace)
SELECT pool_id
FROM activities
WHERE status <> 'ended' AND end_time + CAST(:grace AS interval) <= clock_timestamp()
ORDER BY end_time;

-- name: offsets(pool_id)
-- Of one pool, or (0) of all. Only where the newest configuration is recorded is it known which
-- offset holds.
SELECT a.pool_id, a.time_zone,
       coalesce(CAST(v.config #>> '{limits,day_offset_minutes}' AS integer), 0) AS minutes
FROM activities a
JOIN pools p ON p.id = a.pool_id
JOIN pool_versions v ON v.pool_id = p.id AND v.version = p.version
WHERE a.max_draws_per_day > 0
  AND activity_status(a.status, a.start_time, a.end_time, clock_timestamp()) <> 'ended'
  AND (CAST(:pool_id AS bigint) = 0 OR a.pool_id = CAST(:pool_id AS bigint));

-- name: recorded_seq(pool_id)$
SELECT recorded_seq FROM pools WHERE id = :pool_id;

-- name: records(pool_id, after, last, row_limit)
SELECT r.pool_id, r.seq, r.activity_id, r.user_id, coalesce(u.username, '') AS username,
       r.prize_id, coalesce(r.prize_name, '') AS prize_name, r.request_id, r.odds_weight,
       r.odds_total, r.created_at, coalesce(w.prize_code, '') AS prize_code,
       coalesce(u.email, '') AS email, c.redeemed_at IS NOT NULL AS is_redeemed,
       c.disqualified_at IS NOT NULL AS is_disqualified
FROM lottery_records r
LEFT JOIN users u ON u.id = r.user_id
LEFT JOIN winners w ON w.pool_id = r.pool_id AND w.seq = r.seq
LEFT JOIN prize_claims c ON c.prize_code = w.prize_code
WHERE r.pool_id = :pool_id AND r.seq > :after AND r.seq <= :last
ORDER BY r.seq
LIMIT :row_limit;

-- name: won_records(pool_id, after, last, row_limit)
-- By the list of winners, so that rare wins need no walk over all draws.
SELECT r.pool_id, r.seq, r.activity_id, r.user_id, coalesce(u.username, '') AS username,
       r.prize_id, coalesce(r.prize_name, '') AS prize_name, r.request_id, r.odds_weight,
       r.odds_total, r.created_at, w.prize_code,
       coalesce(u.email, '') AS email, c.redeemed_at IS NOT NULL AS is_redeemed,
       c.disqualified_at IS NOT NULL AS is_disqualified
FROM winners w
JOIN lottery_records r ON r.pool_id = w.pool_id AND r.seq = w.seq
LEFT JOIN users u ON u.id = r.user_id
LEFT JOIN prize_claims c ON c.prize_code = w.prize_code
WHERE w.pool_id = :pool_id AND w.seq > :after AND w.seq <= :last
ORDER BY w.seq
LIMIT :row_limit;

-- name: users(prefix, row_limit, row_offset)
-- Accounts whose username or e-mail address begins with *prefix*, in lower case and escaped for LIKE.
SELECT u.id, u.username, coalesce(u.email, '') AS email, u.created_at,
       u.deactivated_at IS NULL AND NOT EXISTS (
           SELECT FROM blocks b
           WHERE b.user_id = u.id AND b.lifted_at IS NULL AND (b.until IS NULL OR b.until > now())
       ) AS is_active
FROM users u
WHERE lower(u.username) LIKE :prefix || '%' OR lower(u.email) LIKE :prefix || '%'
ORDER BY lower(u.username), u.id
LIMIT :row_limit OFFSET :row_offset;

-- name: claims(pool_ids)
-- Of the pools' wins, by prize: how many are handed out, how many taken away.
SELECT w.prize_id, count(c.redeemed_at) AS redeemed, count(c.disqualified_at) AS disqualified
FROM prize_claims c
JOIN winners w ON w.prize_code = c.prize_code
WHERE w.pool_id = ANY(CAST(:pool_ids AS bigint[]))
GROUP BY w.prize_id;
