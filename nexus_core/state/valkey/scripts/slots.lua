-- Counts that must never pass a limit: slots of backends, and requests under way of client keys.
--
-- slots:BACKEND, parallel:KEY   hash  process -> how many it may use
-- waiting:slots:BACKEND, …      hash  process -> how many requests wait there for one
-- order                         hash  "slots PROCESS" -> number of its newest report, see common.lua
-- counted                       set   names of the first two
--
-- Only live processes count. A process gives back at home first and then tells; it is told first and
-- then uses: so its own number is never below what it uses.

local slots = {}

local function counts(ctx, key)
  local flat, found, total = redis.call("HGETALL", key), {}, 0
  for at = 1, #flat, 2 do
    local process, count = flat[at], tonumber(flat[at + 1])
    -- One that was held for dead comes back with nothing: others may use what it had.
    if ctx.live[process] and not (ctx.fresh and process == ctx.process) then
      found[process] = count
      total = total + count
    else
      redis.call("HDEL", key, process)
    end
  end
  return found, total
end

local function write(key, process, before, after)
  if after == (before or 0) then return end
  if after > 0 then
    redis.call("HSET", key, process, string.format("%.0f", after))
  else
    redis.call("HDEL", key, process)
  end
end

local function remember(ctx, name)
  redis.call("SADD", ctx.key("counted"), name)
end

local function others(ctx, waiting)
  local total = 0
  for process, count in pairs(waiting) do
    if process ~= ctx.process then total = total + count end
  end
  return total
end

-- How many processes hold one or wait for one.
local function contenders(ctx, held, waiting)
  local all, count = { [ctx.process] = true }, 0
  for process in pairs(held) do all[process] = true end
  for process in pairs(waiting) do all[process] = true end
  for _ in pairs(all) do count = count + 1 end
  return count
end

-- What a process is told of one limit, of which it holds `mine` and all together `total`.
local function told(ctx, asked, mine, total, held, waiting)
  return {
    held = mine,
    free = math.max(0, asked.most - total),
    -- Above a limit that was lowered it is as if others waited: what ends is given back.
    waiting = math.max(others(ctx, waiting), total - asked.most),
    contenders = contenders(ctx, held, waiting),
  }
end

function slots.beat(ctx, said)
  local answer, newer, is_freed = {}, is_newest("slots", said.seq), false
  for name, asked in pairs(said.items or {}) do
    local key, waits = ctx.key(name), ctx.key("waiting:" .. name)
    local held, total = counts(ctx, key)
    local waiting = counts(ctx, waits)
    local before = held[ctx.process] or 0
    local mine = before
    if newer then
      write(waits, ctx.process, waiting[ctx.process], asked.waiting)
      local wanted_elsewhere = others(ctx, waiting)
      mine = math.min(mine, asked.keep)
      local is_lower = mine < before
      is_freed = is_freed or (is_lower and wanted_elsewhere > 0)
      total = total - before + mine
      if asked.waiting > 0 and not ctx.quarantine and not (is_lower and wanted_elsewhere > 0) then
        local more = math.min(asked.waiting, asked.most - total)
        if wanted_elsewhere > 0 then
          local fair = math.max(1, math.floor(asked.most / contenders(ctx, held, waiting)))
          more = math.min(more, fair - mine)
        end
        if more > 0 then
          mine, total = mine + more, total + more
        end
      end
      write(key, ctx.process, before, mine)
    end
    remember(ctx, name)
    answer[name] = told(ctx, asked, mine, total, held, waiting)
  end
  if is_freed then ctx.nudge() end
  return { items = answer }
end

-- A request needs more than is held here.
function slots.take(ctx, said)
  is_newest("slots", said.seq)
  local answer = {}
  for name, asked in pairs(said.items) do
    local key, waits = ctx.key(name), ctx.key("waiting:" .. name)
    local held, total = counts(ctx, key)
    local waiting = counts(ctx, waits)
    local before = held[ctx.process] or 0
    local mine = before
    if not (ctx.quarantine or ctx.fresh) and before < asked.need then
      local free = asked.most - total
      if free >= asked.need - before then
        mine = asked.need
        -- What is not needed at once is granted where most of it is free.
        local left = free - (asked.like - before)
        if others(ctx, waiting) == 0 and left * 2 >= asked.most then mine = asked.like end
        write(key, ctx.process, before, mine)
        total = total - before + mine
      end
    end
    remember(ctx, name)
    answer[name] = told(ctx, asked, mine, total, held, waiting)
  end
  return { items = answer, quarantine = ctx.quarantine and true or false }
end

-- A process has ended: what it held is free, at once. Called for one that died, too.
function slots.leave(ctx, process)
  local is_freed = false
  for _, name in ipairs(redis.call("SMEMBERS", ctx.key("counted"))) do
    if redis.call("HDEL", ctx.key(name), process) > 0 then is_freed = true end
    redis.call("HDEL", ctx.key("waiting:" .. name), process)
  end
  redis.call("HDEL", ctx.key("order"), "slots " .. process)
  if is_freed then ctx.nudge() end
end

-- The store has lost its data: what is in use counts, whatever the limit.
function slots.restore(ctx, said)
  if ctx.fresh then return end
  for name, asked in pairs(said.items or {}) do
    local key = ctx.key(name)
    local before = tonumber(redis.call("HGET", key, ctx.process) or "0")
    write(key, ctx.process, before, math.max(before, asked.held))
    remember(ctx, name)
  end
end

parts.slots = slots
