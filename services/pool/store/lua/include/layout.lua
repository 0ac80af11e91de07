-- layout: places in the MessagePack arrays, as services/pool/store/redis_store.py writes them.
local VERSION, MODE, STATUS, START_MS, END_MS, COOLDOWN_MS = 1, 2, 3, 4, 5, 6
local DRAWS_PER_USER, DRAWS_PER_DAY, WINS_PER_USER, DAY_OFFSET_MS = 7, 8, 9, 10
local PRIZES, RETIRED_PRIZES, PROTECTION_MS = 11, 12, 13  -- the last: nil in old ones
local ID, WEIGHT, ENABLED, PRIZE_WINS, UNITS, LAST_PRIZE = 1, 2, 3, 4, 5, 6
local ODDS, TICKETS, WEIGHTS = 1, 2, 3
local OPEN, PAUSED, ENDED = 1, 2, 3
