-- Blind boxes: goods, levels, items, boxes, item cards, orders and what they drew.

-- ---------------------------------------------------------------- goods
-- What the operator wants of goods. revision counts its changes; boxes.revision follows it
-- once a box's pool has been published with it.
CREATE TABLE goods (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title               text NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
    type                text NOT NULL CHECK (type IN ('ichiban', 'infinite')),
    price               numeric(10, 2) NOT NULL DEFAULT 0 CHECK (price >= 0),
    image_url           text NOT NULL DEFAULT '' CHECK (length(image_url) <= 2000),
    on_shelf            boolean NOT NULL DEFAULT true,
    protection_seconds  integer NOT NULL DEFAULT 0 CHECK (protection_seconds >= 0),
    is_ended            boolean NOT NULL DEFAULT false,
    revision            bigint NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);

-- Levels (赏).
CREATE TABLE shangs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    goods_id    bigint NOT NULL REFERENCES goods (id),
    title       text NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
    color       text NOT NULL DEFAULT '#000000' CHECK (color ~ '^#[0-9a-fA-F]{6}$'),
    sort        integer NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, goods_id)
);
CREATE INDEX shangs_goods ON shangs (goods_id, sort, id);

-- What a fresh box holds. Fixed from the first box on.
CREATE TABLE goods_items (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    goods_id       bigint NOT NULL REFERENCES goods (id),
    shang_id       bigint NOT NULL,
    title          text NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
    img_url        text NOT NULL DEFAULT '' CHECK (length(img_url) <= 2000),
    price          numeric(10, 2) NOT NULL DEFAULT 0 CHECK (price >= 0),
    sc_money       numeric(10, 2) NOT NULL DEFAULT 0 CHECK (sc_money >= 0),
    stock          integer CHECK (stock BETWEEN 1 AND 1000000000),    -- null: unlimited
    weight         integer CHECK (weight BETWEEN 1 AND 1000000000),   -- null: the surplus stock
    is_last_prize  boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (shang_id, goods_id) REFERENCES shangs (id, goods_id),
    CHECK (stock IS NOT NULL OR weight IS NOT NULL)
);
CREATE INDEX goods_items_goods ON goods_items (goods_id, id);
CREATE UNIQUE INDEX goods_items_last_prize ON goods_items (goods_id) WHERE is_last_prize;

-- A numbered box: one pool.
CREATE TABLE boxes (
    goods_id   bigint NOT NULL REFERENCES goods (id),
    num        integer NOT NULL CHECK (num >= 1),
    pool_id    bigint NOT NULL UNIQUE REFERENCES pools (id),
    revision   bigint NOT NULL,                    -- of the goods, as published
    is_ended   boolean NOT NULL DEFAULT false,     -- sold out, or its goods ended: as published
    opened_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (goods_id, num)
);
CREATE INDEX boxes_live ON boxes (goods_id, num) WHERE NOT is_ended;

-- A box's prizes are its goods' items, once a box: stock and books as in a lottery.
-- total_count: null is unlimited.
ALTER TABLE prizes ADD COLUMN goods_item_id bigint REFERENCES goods_items (id);
ALTER TABLE prizes ALTER COLUMN activity_id DROP NOT NULL;
ALTER TABLE prizes ALTER COLUMN total_count DROP NOT NULL;
ALTER TABLE prizes ADD CONSTRAINT prizes_of_one_kind
    CHECK ((activity_id IS NULL) <> (goods_item_id IS NULL));
ALTER TABLE prizes ADD CONSTRAINT prizes_unlimited_in_boxes_alone
    CHECK (total_count IS NOT NULL OR goods_item_id IS NOT NULL);

-- ---------------------------------------------------------------- entitlements
-- An item card draws once. What became of it, its order says ("card:<id>"): none or released,
-- it is unused; reserved; drawn, it is used.
CREATE TABLE item_cards (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL,
    goods_id    bigint REFERENCES goods (id),      -- null: any
    created_by  bigint NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX item_cards_user ON item_cards (user_id, id);

-- What somebody may draw. reserved → drawn, or → released when the draw definitely did not
-- happen; a released one may be reserved again, as another attempt. A request id of the draw
-- belongs to one attempt; before an order is released, its request id is made void in its pool.
CREATE TABLE orders (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_num        text NOT NULL UNIQUE CHECK (length(order_num) BETWEEN 1 AND 64),
    order_type       smallint NOT NULL CHECK (order_type IN (1, 2, 3)),
    user_id          bigint NOT NULL,
    goods_id         bigint NOT NULL,
    num              integer NOT NULL,
    pool_id          bigint NOT NULL REFERENCES pools (id),
    draw_count       smallint NOT NULL CHECK (draw_count BETWEEN 1 AND 100),
    item_card_id     bigint UNIQUE REFERENCES item_cards (id),
    request_id       text NOT NULL DEFAULT '',     -- the caller's; of cards alone
    attempt          integer NOT NULL DEFAULT 1,
    draw_request_id  text NOT NULL UNIQUE,         -- the draw's, in the ledger
    status           text NOT NULL DEFAULT 'reserved' CHECK (status IN ('reserved', 'drawn', 'released')),
    refusal          text NOT NULL DEFAULT '',     -- why it was released: a reason
    first_seq        bigint,                       -- of its first draw, once drawn
    places           smallint,                     -- draws, a last prize included
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (goods_id, num) REFERENCES boxes (goods_id, num),
    CHECK ((order_type = 3) = (item_card_id IS NOT NULL)),
    CHECK ((status = 'drawn') = (first_seq IS NOT NULL AND places IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX orders_reserved ON orders (updated_at) WHERE status = 'reserved';
CREATE INDEX orders_pool ON orders (pool_id);  -- for the audit and the rebuild of one box

-- ---------------------------------------------------------------- what was drawn
-- An item that an order gave. The recorder writes it with the draw's record. id = order_id × 128
-- + draw_index, so that it is known before it is recorded. goods_no and shang_no count a goods'
-- items, and those of one level of it, without gaps: a page is one index range.
CREATE TABLE order_items (
    id              bigint PRIMARY KEY,
    order_id        bigint NOT NULL REFERENCES orders (id),
    pool_id         bigint NOT NULL,
    seq             bigint NOT NULL,
    user_id         bigint NOT NULL,
    goods_id        bigint NOT NULL,
    num             integer NOT NULL,
    goodslist_id    bigint NOT NULL,               -- the goods item
    goodslist_type  smallint NOT NULL CHECK (goodslist_type IN (1, 2)),  -- 2: last prize
    shang_id        bigint NOT NULL,
    prize_code      text NOT NULL UNIQUE,
    luck_no         bigint NOT NULL,
    source          smallint NOT NULL DEFAULT 1,   -- 1: a draw
    status          smallint NOT NULL DEFAULT 1,   -- 1: won, 2: recycled
    order_type      smallint NOT NULL CHECK (order_type IN (1, 2, 3)),
    goods_no        bigint NOT NULL,
    shang_no        bigint NOT NULL,
    created_at      timestamptz NOT NULL,
    UNIQUE (pool_id, seq),
    UNIQUE (goods_id, goods_no),
    UNIQUE (goods_id, shang_id, shang_no)
);
CREATE INDEX order_items_order ON order_items (order_id);
CREATE INDEX order_items_day ON order_items (goods_id, created_at);
CREATE INDEX order_items_user ON order_items (user_id, id);

-- The newest goods_no (shang_id 0) and shang_no of each level. The recorder takes its numbers
-- here, in the order of the key, just before those of the winner list.
CREATE TABLE item_counters (
    goods_id  bigint NOT NULL,
    shang_id  bigint NOT NULL,
    items     bigint NOT NULL,
    PRIMARY KEY (goods_id, shang_id)
) WITH (fillfactor = 50);
