#!lua
--[[ draw: run a batch of intents on one pool, atomically, in order.
KEYS[1] string  {p:<id>}:config    MessagePack, see layout.py
KEYS[2] hash    {p:<id>}:state     see StateField in layout.py
KEYS[3] hash    {p:<id>}:stock     prize id -> units left; absent: unlimited
KEYS[4] hash    {p:<id>}:users     user id -> MessagePack, see layout.py
KEYS[5] hash    {p:<id>}:req:0     request digest -> MessagePack, see layout.py
KEYS[6] hash    {p:<id>}:req:1     likewise, of the other day
KEYS[7] stream  {p:<id>}:ledger    see docs/redis-keys.md
KEYS[8] string  {p:<id>}:recorded  newest seq in Postgres
KEYS[9] hash    kuji:blocks        user id -> ms, see include/blocks.lua; absent in a cluster
ARGV[1] bytes   MessagePack: a column for each field of an intent but the last, see rule/terms.py
ARGV[2] int     draws that may wait for the recorder; beyond it BACKLOG
ARGV[3] int     1: wins of this pool could not be confirmed by Postgres in time; 0: they are
ARGV[4] bytes   MessagePack: list of {place of an intent, ms until which it is blocked, 0: for good}
ARGV[5] bytes   MessagePack: the state that the list of blocks has for who found these
ARGV[6] int     draws that users may make of a lottery with nothing left; then NOTHING_TO_WIN
ARGV[7] bytes   what the caller knows, see include/guard.lua
Returns MessagePack {now_ms, version, chain, confirm: before a win is announced, 1: nothing more is
needed, 2: it is on a replica, 3: it is in Postgres; the pool's clock, us; answers; draws}.
answers: a column each of code, number, places, draws left (-1: no quota), next ms (0: at once);
the latter three are of what was drawn. Code and number of an answer are one of
  {1 DRAWN, first seq} | {2 REPLAYED, first seq} | {-1 NOT_LOADED} |
  {-2 NOT_ONGOING, status: 0 planned, 2 paused, 3 ended} |
  {-3 COOLDOWN, ms to wait} | {-4 QUOTA_SPENT, 1 draws per user, 2 per day, 3 wins} |
  {-5 BLOCKED} | {-6 SOLD_OUT, units left} | {-7 REQUEST_ID_REUSED} | {-8 BACKLOG} |
  {-9 PROTECTED, ms to wait} | {-10 VOID} | {-11 UNCONFIRMED} |
  {-12 CLOCK_OFF}: this server's clock jumped; nothing is drawn until it is right |
  {-13 TICKET_REQUIRED} | {-14 TICKET_EXPIRED} | {-15 PUZZLE_UNSOLVED, bits asked for} |
  {-16 TICKET_EARLY, ms to wait} | {-17 NOTHING_TO_WIN}
draws: a column each of prize id (0: a miss), ticket, weight, total of the draws of those DRAWN,
one after the other; and a column of the code bytes of the winners among them
  or {newest seq} alone: nothing is done, further ids have to be reserved first;
  or {}: nothing is done, the list of blocks is another one.
O(intents x prizes). One slot. Either every intent's effects are written, or none. ]]
--@layout
--@include guard
--@include backlog
--@include selection
--@include users
--@include draw_tickets
--@include requests
--@include opening
--@include pool
--@include drawing
--@include blocks
--@include intents
--@include answers
--@include chain
--@include entry
local intents, answers = cmsgpack.unpack(ARGV[1]), new_answers()
local drawn = new_drawn()
local state = state_of(KEY_STATE)
local now_us = next_us(state)
local now_ms = ms_of(now_us or newest_us(state))
local pool = not is_behind(state) and load_pool(state, now_ms)
if not pool then
  for i in ipairs(intents[INTENT_USER_ID]) do note_answer(answers, i, CODE_NOT_LOADED) end
  return cmsgpack.pack({ now_ms, 0, '', CONFIRM_STORE, 0, answers, drawn })
end
if pool.seq >= known[KNOWN_LAST_SEQ] then return cmsgpack.pack({ pool.seq }) end
local user_ids = intents[INTENT_USER_ID]
local blocked = blocked_until(user_ids, cmsgpack.unpack(ARGV[4]), cmsgpack.unpack(ARGV[5]))
if not blocked then return cmsgpack.pack({}) end
pool.clock_is_off, pool.most_late = not now_us, tonumber(ARGV[6])
local first_seq = pool.seq + 1
local confirm = pool.config[CONFIG_CONFIRM] or CONFIRM_STORE
local requests = turn_requests(state, { KEY_REQ_0, KEY_REQ_1 }, now_ms)
local batch = load_batch(intents, requests, drawn)
local shed = backlog(state, pool.seq) >= tonumber(ARGV[2])
-- Where a miss is possible draws go on: nothing is refused by its outcome.
local may_miss = pool.config[CONFIG_MODE] == MODE_ODDS
local stuck = ARGV[3] == '1' and confirm == CONFIRM_RECORDED and not may_miss
for i in ipairs(user_ids) do
  note_answer(answers, i, answer(pool, batch, i, blocked[i], now_ms, shed, stuck))
end
if pool.seq >= first_seq then
  write_entry(pool, batch, now_us, confirm)
  write_pool(pool, batch, requests, now_ms)
end
local version, chain = pool.config[CONFIG_VERSION], state[STATE_CHAIN]
return cmsgpack.pack({ now_ms, version, chain, confirm, newest_us(state), answers, drawn })
