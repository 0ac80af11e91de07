-- codes: what became of an intent; DrawCode in services/pool/rule/terms.py is the same list.
local DRAWN, REPLAYED = 1, 2
local NOT_LOADED, NOT_ONGOING, COOLDOWN, QUOTA_SPENT = -1, -2, -3, -4
local BLOCKED, SOLD_OUT, REQUEST_ID_REUSED, BACKLOG = -5, -6, -7, -8
local PROTECTED, VOID = -9, -10
