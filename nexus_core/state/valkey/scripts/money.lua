-- Money of a month: escrow over grow-only counters.
--
-- spent:MONTH:ACCOUNT    hash  owner -> nano-dollars it spent this month, only ever raised
-- granted:MONTH:ACCOUNT  hash  owner -> "CEILING HELD": it may spend up to the one, and has spent or
--                              set aside for requests under way the other, this month
-- floor:MONTH:ACCOUNT    hash  ledger -> nano-dollars that a database says it spent, only ever raised
-- accounts:MONTH         set   accounts that anything is known of
-- months                 set   for which there are any
-- owners                 hash  owner -> "PROCESS SEQ REPLICA": who counts under its name now
-- owners_end             zset  owner whose process is gone -> ms from which nothing asks for it
--
-- An account is "*" or a client key; an owner is a ledger, or one of the workers that share it. What
-- an account has promised is the sum over its owners of what is larger, spent or ceiling: an owner
-- can't spend more than that before it asks again. A ledger's owners (LEDGER, LEDGER.WORKER, and
-- LEDGER/PROCESS on a copied disk) have together spent its floor at least: the store may have lost
-- what dead ones had told it. Amounts are strings: cjson keeps 14 digits.

local money = {}
local KEEP_SECONDS = 70 * 86400
local LATE_MS = 3600000 -- no call of a process that left comes later than that

local function amount(text)
  return tonumber(text or "0") or 0
end

local function written(number)
  return string.format("%.0f", number)
end

local function ceiling_of(text)
  if not text then return 0, 0 end
  local ceiling, held = string.match(text, "^(%S+) (%S+)$")
  return amount(ceiling), amount(held)
end

local function pairs_of(key)
  local flat, found = redis.call("HGETALL", key), {}
  for at = 1, #flat, 2 do found[flat[at]] = flat[at + 1] end
  return found
end

local function account_at(ctx, month, name)
  local one = {
    spent_key = ctx.key("spent:" .. month .. ":" .. name),
    granted_key = ctx.key("granted:" .. month .. ":" .. name),
    floor_key = ctx.key("floor:" .. month .. ":" .. name),
  }
  one.spent, one.granted = pairs_of(one.spent_key), pairs_of(one.granted_key)
  one.floor = pairs_of(one.floor_key)
  return one
end

-- What the floors are above these amounts of owners.
local function beyond(one, amounts)
  if not next(one.floor) then return 0 end
  local known, total = {}, 0
  for owner, nano in pairs(amounts) do
    local ledger = string.match(owner, "^[^./]*")
    known[ledger] = (known[ledger] or 0) + amount(nano)
  end
  for ledger, floor in pairs(one.floor) do
    total = total + math.max(0, amount(floor) - (known[ledger] or 0))
  end
  return total
end

local function promised(one)
  local total, most = 0, {}
  for owner, spent in pairs(one.spent) do
    most[owner] = math.max(amount(spent), (ceiling_of(one.granted[owner])))
  end
  for owner, granted in pairs(one.granted) do
    if not most[owner] then most[owner] = (ceiling_of(granted)) end
  end
  for _, nano in pairs(most) do total = total + nano end
  return total + beyond(one, most)
end

-- An amount that only grows, of `kept` as it is at `key`.
local function raise(kept, key, name, nano)
  if nano > amount(kept[name]) then
    kept[name] = written(nano)
    redis.call("HSET", key, name, kept[name])
    redis.call("EXPIRE", key, KEEP_SECONDS)
  end
end

local function write_spent(one, owner, nano) raise(one.spent, one.spent_key, owner, nano) end

local function write_floor(one, ledger, nano) raise(one.floor, one.floor_key, ledger, nano) end

local function write_granted(one, owner, ceiling, held)
  local text = written(ceiling) .. " " .. written(held)
  if text ~= one.granted[owner] then
    one.granted[owner] = text
    redis.call("HSET", one.granted_key, owner, text)
    redis.call("EXPIRE", one.granted_key, KEEP_SECONDS)
  end
end

local function remember(ctx, month, name)
  local key = ctx.key("accounts:" .. month)
  redis.call("SADD", key, name)
  redis.call("EXPIRE", key, KEEP_SECONDS)
  if redis.call("SADD", ctx.key("months"), month) == 0 then return end
  for _, one in ipairs(redis.call("SMEMBERS", ctx.key("months"))) do
    if redis.call("EXISTS", ctx.key("accounts:" .. one)) == 0 then
      redis.call("SREM", ctx.key("months"), one)
    end
  end
end

-- Whether this process counts under the owner's name, and how new its last report was.
local function standing(ctx, owner)
  local text = redis.call("HGET", ctx.key("owners"), owner)
  if not text then return true, 0 end
  local process, seq = string.match(text, "^(%S+) (%S+)")
  return process == ctx.process, amount(seq)
end

local function stand(ctx, owner, seq)
  local text = ctx.process .. " " .. written(seq) .. " " .. ctx.replica
  redis.call("HSET", ctx.key("owners"), owner, text)
end

-- Each replica without a disk is another ledger each time that it starts.
local function drop_ended(ctx)
  local ends = ctx.key("owners_end")
  for _, owner in ipairs(redis.call("ZRANGEBYSCORE", ends, "-inf", ctx.now_ms, "LIMIT", 0, 100)) do
    local text = redis.call("HGET", ctx.key("owners"), owner)
    if text and not ctx.live[string.match(text, "^(%S+)")] then
      redis.call("HDEL", ctx.key("owners"), owner)
    end
    redis.call("ZREM", ends, owner)
  end
end

local function told(one, limit, owner)
  local ceilings = {}
  for name, granted in pairs(one.granted) do ceilings[name] = written((ceiling_of(granted))) end
  local answer = { spent = one.spent, granted = ceilings, floor = one.floor }
  if limit then answer.room = written(limit - promised(one)) end
  answer.ceiling = ceilings[owner] or "0"
  return answer
end

-- Whether nobody had begun in this start of the whole replica.
local function begin(ctx, said)
  local key = ctx.key("joined:" .. said.ledger .. ":" .. said.boot)
  return redis.call("SET", key, "1", "NX", "EX", KEEP_SECONDS)
end

-- A process begins to count under an owner's name: what is known of the owner, and of the workers
-- beside it. `first` tells the first one of a start of the whole replica.
local function join(ctx, said)
  drop_ended(ctx)
  stand(ctx, said.owner, 0)
  redis.call("ZREM", ctx.key("owners_end"), said.owner)
  local ledger = said.ledger
  local is_first = begin(ctx, said)
  local found = {}
  for _, name in ipairs(redis.call("SMEMBERS", ctx.key("accounts:" .. said.month))) do
    local one, spent, granted = account_at(ctx, said.month, name), {}, {}
    for owner, nano in pairs(one.spent) do
      if owner == ledger or string.sub(owner, 1, #ledger + 1) == ledger .. "." then
        spent[owner] = nano
      end
    end
    for owner, text in pairs(one.granted) do
      if owner == ledger or string.sub(owner, 1, #ledger + 1) == ledger .. "." then
        granted[owner] = written((ceiling_of(text)))
      end
    end
    found[name] = { spent = spent, granted = granted }
  end
  return { joined = found, first = is_first and true or false }
end

-- All that is known: who joins may be the last one that lives, when data are lost again.
local function known(ctx, said)
  local found = {}
  for _, name in ipairs(redis.call("SMEMBERS", ctx.key("accounts:" .. said.month))) do
    found[name] = told(account_at(ctx, said.month, name))
  end
  return found
end

-- What a database says that ledgers spent.
local function raise_floors(ctx, said)
  for name, floors in pairs(given(said.floors) or {}) do
    local one = account_at(ctx, said.month, name)
    for ledger, nano in pairs(floors) do write_floor(one, ledger, amount(nano)) end
    remember(ctx, said.month, name)
  end
end

function money.beat(ctx, said)
  raise_floors(ctx, said)
  local answer = money.report(ctx, said)
  answer.floors_told = given(said.floors_told)
  return answer
end

function money.report(ctx, said)
  if said.join then
    -- In quarantine nobody knows yet what was spent and held in its name.
    local answer = ctx.quarantine and {} or join(ctx, said)
    answer.seen = known(ctx, said)
    return answer
  end
  if not said.owner then return {} end
  local is_mine, seq = standing(ctx, said.owner)
  if not is_mine then return { usurped = true } end
  local is_newer = said.seq > seq
  if is_newer then stand(ctx, said.owner, said.seq) end
  local answer, share = {}, 2 * ctx.members
  for name, asked in pairs(said.accounts or {}) do
    local one = account_at(ctx, said.month, name)
    write_spent(one, said.owner, amount(asked.spent))
    local limit = asked.limit and amount(asked.limit)
    local ceiling = ceiling_of(one.granted[said.owner])
    if is_newer then
      local held = amount(asked.held)
      ceiling = math.min(ceiling, amount(asked.keep))
      write_granted(one, said.owner, ceiling, held)
      local want = amount(asked.want)
      if limit and want > 0 and not ctx.quarantine then
        want = math.min(want, math.floor((limit - promised(one)) / share))
        if want >= amount(asked.step) and want > 0 then
          ceiling = math.max(ceiling, amount(asked.spent)) + want
          write_granted(one, said.owner, ceiling, held)
        end
      end
    end
    remember(ctx, said.month, name)
    answer[name] = told(one, limit, said.owner)
  end
  return { accounts = answer }
end

-- One request needs more than is granted: all of its accounts, or none.
function money.take(ctx, said)
  local is_mine, seq = standing(ctx, said.owner)
  if not is_mine then return { usurped = true, refused = true } end
  if said.seq > seq then stand(ctx, said.owner, said.seq) end
  local found, answer, refused = {}, {}, false
  for name, asked in pairs(said.accounts) do
    local one = account_at(ctx, said.month, name)
    write_spent(one, said.owner, amount(asked.spent))
    remember(ctx, said.month, name)
    found[name] = one
    local lacks = amount(asked.ceiling) > (ceiling_of(one.granted[said.owner]))
    if lacks and (ctx.quarantine or amount(asked.limit) - promised(one) <= 0) then
      refused = true
    end
  end
  for name, asked in pairs(said.accounts) do
    local one, limit = found[name], amount(asked.limit)
    local ceiling = ceiling_of(one.granted[said.owner])
    if not refused and amount(asked.ceiling) > ceiling then
      write_granted(one, said.owner, amount(asked.ceiling), amount(asked.held))
      local more = math.floor((limit - promised(one)) / (2 * ctx.members))
      more = math.min(more, amount(asked.want))
      if more > 0 and 2 * more >= amount(asked.want) then
        write_granted(one, said.owner, amount(asked.ceiling) + more, amount(asked.held))
      end
    end
    answer[name] = told(one, limit, said.owner)
  end
  return { accounts = answer, refused = refused, quarantine = ctx.quarantine and true or false }
end

-- A process ends in order: what it did not spend is free. What one that died had is not: it may have
-- been spent.
function money.leave(ctx, process)
  local is_own = process == ctx.process
  local flat = redis.call("HGETALL", ctx.key("owners"))
  for at = 1, #flat, 2 do
    if string.match(flat[at + 1], "^(%S+)") == process then
      local after_ms = is_own and LATE_MS or KEEP_SECONDS * 1000
      redis.call("ZADD", ctx.key("owners_end"), ctx.now_ms + after_ms, flat[at])
      for _, month in ipairs(is_own and redis.call("SMEMBERS", ctx.key("months")) or {}) do
        for _, name in ipairs(redis.call("SMEMBERS", ctx.key("accounts:" .. month))) do
          redis.call("HDEL", ctx.key("granted:" .. month .. ":" .. name), flat[at])
        end
      end
    end
  end
end

-- The store has lost its data: the survivors write back what they last saw, the larger counts.
function money.restore(ctx, said)
  if not (said and said.owner) then return end
  if said.boot and not said.join then begin(ctx, said) end
  local before = redis.call("HGET", ctx.key("owners"), said.owner)
  -- Older data name a process that was there before this one.
  local is_gone = not before or not ctx.live[string.match(before, "^(%S+)")]
  if is_gone then stand(ctx, said.owner, 0) end
  for name, seen in pairs(said.seen or {}) do
    local one = account_at(ctx, said.month, name)
    for owner, nano in pairs(seen.spent or {}) do write_spent(one, owner, amount(nano)) end
    for ledger, nano in pairs(seen.floor or {}) do write_floor(one, ledger, amount(nano)) end
    for owner, nano in pairs(seen.granted or {}) do
      local ceiling, held = ceiling_of(one.granted[owner])
      if amount(nano) > ceiling then write_granted(one, owner, amount(nano), held) end
    end
    remember(ctx, said.month, name)
  end
end

-- A replica never returns: what it held counts as spent, what it did not use is free.
function money.forget(ctx, said)
  local replica = said.replica_to_forget
  local flat, presumed, owners = redis.call("HGETALL", ctx.key("owners")), 0, 0
  for at = 1, #flat, 2 do
    local owner = flat[at]
    local process, _, whose = string.match(flat[at + 1], "^(%S+) (%S+) (.*)$")
    if whose == replica and not ctx.live[process] then
      owners = owners + 1
      for _, month in ipairs(redis.call("SMEMBERS", ctx.key("months"))) do
        for _, name in ipairs(redis.call("SMEMBERS", ctx.key("accounts:" .. month))) do
          local one = account_at(ctx, month, name)
          local _, held = ceiling_of(one.granted[owner])
          local more = math.max(0, held - amount(one.spent[owner]))
          if name == "*" then presumed = presumed + more end
          write_spent(one, owner, held)
          redis.call("HDEL", one.granted_key, owner)
        end
      end
      redis.call("HDEL", ctx.key("owners"), owner)
      redis.call("ZREM", ctx.key("owners_end"), owner)
    end
  end
  return { presumed = written(presumed), owners = owners }
end

parts.money = money
