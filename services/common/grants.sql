-- What each service may do in the database, and nothing else: applied by the owner after the
-- migrations, whenever they run, where there are roles of these names. A new table is nobody's
-- until it is named here.

-- ---------------------------------------------------------------- start from nothing
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO kuji_auth, kuji_draw, kuji_admin, kuji_history, kuji_recorder',
        current_database()
    );
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO kuji_auth, kuji_draw, kuji_admin, kuji_history, kuji_recorder;
REVOKE ALL ON ALL TABLES IN SCHEMA public
    FROM PUBLIC, kuji_auth, kuji_draw, kuji_admin, kuji_history, kuji_recorder;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public
    FROM PUBLIC, kuji_auth, kuji_draw, kuji_admin, kuji_history, kuji_recorder;

-- ---------------------------------------------------------------- auth: accounts and keys
GRANT SELECT, INSERT, UPDATE ON users TO kuji_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    ended_generations, known_networks, login_keys, refresh_tokens, signing_keys
TO kuji_auth;
GRANT SELECT, INSERT, DELETE ON ended_sessions, logins TO kuji_auth;
GRANT SELECT (network, until, lifted_at) ON blocks TO kuji_auth;

-- ---------------------------------------------------------------- all that verify access tokens
GRANT SELECT ON ended_generations, ended_sessions TO kuji_draw, kuji_admin, kuji_history;

-- ---------------------------------------------------------------- draw: seeds, proofs, orders
GRANT USAGE ON SEQUENCE pool_ids TO kuji_draw;
GRANT SELECT, INSERT ON pool_seeds, pool_reveals TO kuji_draw;
GRANT SELECT, INSERT, UPDATE ON orders, pool_marks TO kuji_draw;
GRANT INSERT ON ledger_gaps TO kuji_draw;
GRANT UPDATE (is_revealed) ON pools TO kuji_draw;
GRANT SELECT ON
    activities, blocks, boxes, goods, goods_items, item_cards, item_counters, ledger_gaps,
    ledger_links, lottery_records, order_items, pool_versions, pools, prizes, shangs,
    winner_counter, winners
TO kuji_draw;
GRANT SELECT (id) ON users TO kuji_draw;

-- ---------------------------------------------------------------- admin: what the operator wants
GRANT USAGE ON SEQUENCE pool_versions_seq TO kuji_admin;
GRANT SELECT, INSERT, UPDATE ON
    activities, blocks, boxes, goods, goods_items
TO kuji_admin;
GRANT SELECT, INSERT ON audit_log, item_cards, pools, prizes, shangs TO kuji_admin;
GRANT UPDATE (version) ON pools TO kuji_admin;
-- What is won of a prize is the recorder's to say.
GRANT UPDATE (
    name, description, image_url, total_count, held_count, probability_ppb, max_wins_per_user,
    is_enabled, unit_cost, deleted_at, updated_at
) ON prizes TO kuji_admin;
GRANT SELECT, INSERT, UPDATE ON approvals, prize_claims TO kuji_admin;
GRANT SELECT ON ledger_gaps, lottery_records, orders, pool_versions, winners TO kuji_admin;
GRANT SELECT (id, username, email, role, created_at, deactivated_at) ON users TO kuji_admin;

-- ---------------------------------------------------------------- history: reads
GRANT SELECT ON
    activities, boxes, goods, goods_items, item_cards, item_counters, lottery_records, order_items,
    orders, pool_marks, pool_versions, pools, prizes, shangs, winner_counter, winners
TO kuji_history;
GRANT SELECT (id, username) ON users TO kuji_history;

-- ---------------------------------------------------------------- recorder: the ledger's copy
GRANT INSERT ON ledger_links, lottery_records, order_items, winners TO kuji_recorder;
GRANT SELECT, INSERT ON pool_versions TO kuji_recorder;
GRANT SELECT, INSERT, UPDATE ON item_counters, prizes TO kuji_recorder;
GRANT SELECT, UPDATE ON activities, orders, pools, winner_counter TO kuji_recorder;
GRANT SELECT ON boxes, goods, goods_items, ledger_gaps TO kuji_recorder;
-- What an older Postgres has lost, and the ledger knows.
GRANT INSERT ON orders TO kuji_recorder;
GRANT INSERT ON item_cards TO kuji_recorder;
GRANT UPDATE (revision, on_shelf, is_ended, protection_seconds, confirm, updated_at) ON goods
TO kuji_recorder;
GRANT USAGE ON SEQUENCE orders_id_seq TO kuji_recorder;
GRANT EXECUTE ON FUNCTION pass_lost_ids TO kuji_recorder;
