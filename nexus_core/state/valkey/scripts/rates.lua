-- Rates a minute of client keys, by the generic cell rate algorithm and the server's clock.
--
-- rates  hash  "rpm KEY", "tpm KEY" -> theoretical arrival time, in microseconds of the epoch
-- order  hash  "rates PROCESS" -> number of its newest report, see common.lua
--
-- A limit is used up when its time is one window ahead of now. Takes are increments: a lost reply
-- loses a chunk, on the strict side. What is given back is counted once, by the report's number.

local rates = {}
local WINDOW = 60000000 -- microseconds

local function ahead(ctx, field)
  local tat = tonumber(redis.call("HGET", ctx.key("rates"), field) or "0") - ctx.now_us
  -- Further ahead than a window: the clock went back.
  return math.min(math.max(tat, 0), WINDOW)
end

local function write(ctx, field, microseconds)
  local tat = ctx.now_us + math.min(math.max(microseconds, 0), WINDOW)
  redis.call("HSET", ctx.key("rates"), field, string.format("%.0f", tat))
end

local function returned(ctx, said)
  if not (said and said.seq and is_newest("rates", said.seq)) then return end
  for field, one in pairs(said.back or {}) do
    write(ctx, field, ahead(ctx, field) - one.count * WINDOW / one.limit)
  end
end

function rates.beat(ctx, said)
  returned(ctx, said)
  local found, flat = {}, redis.call("HGETALL", ctx.key("rates"))
  for at = 1, #flat, 2 do
    local left = tonumber(flat[at + 1]) - ctx.now_us
    if left > 0 then
      found[flat[at]] = math.floor(math.min(left, WINDOW))
    else
      redis.call("HDEL", ctx.key("rates"), flat[at])
    end
  end
  return { ahead = found }
end

-- A chunk of one or two limits of a key, at least what a request needs of each; all or nothing.
function rates.take(ctx, said)
  local waits, is_refused, took, found = {}, false, {}, {}
  for field, one in pairs(said.fields) do
    local need = math.min(one.need, one.limit)
    local wait = ahead(ctx, field) + need * WINDOW / one.limit - WINDOW
    -- A thousandth of a request is rounding.
    if wait > WINDOW / one.limit / 1000 then
      waits[field] = math.ceil(wait)
      is_refused = true
    end
  end
  if ctx.quarantine then is_refused = true end
  for field, one in pairs(said.fields) do
    local left = ahead(ctx, field)
    if not is_refused then
      local interval = WINDOW / one.limit
      local fits = math.floor((WINDOW - left) / interval)
      local count = math.max(one.need, math.min(one.like, fits))
      took[field] = count
      left = math.min(left + count * interval, WINDOW)
      write(ctx, field, left)
    end
    found[field] = math.floor(left)
  end
  return {
    took = took,
    waits = waits,
    refused = is_refused,
    ahead = found,
    quarantine = ctx.quarantine and true or false,
  }
end

function rates.leave(ctx, process)
  redis.call("HDEL", ctx.key("order"), "rates " .. process)
end

function rates.restore(ctx, said)
  for field, left in pairs(said.seen or {}) do
    if left > ahead(ctx, field) then write(ctx, field, left) end
  end
end

parts.rates = rates
