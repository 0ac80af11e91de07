-- answers: what a call tells of its intents, a column for each field; see layout.py.

local function new_answers() return { {}, {}, {}, {}, {} } end

-- Draws of those DRAWN; code bytes of winners alone.
local function new_drawn() return { {}, {}, {}, {}, {} } end

local function note_answer(answers, i, code, number, places, left, next_ms)
  answers[ANSWER_CODE][i], answers[ANSWER_NUMBER][i] = code, number or 0
  answers[ANSWER_PLACES][i], answers[ANSWER_DRAWS_LEFT][i] = places or 0, left or UNLIMITED
  answers[ANSWER_NEXT_MS][i] = next_ms or 0
end
