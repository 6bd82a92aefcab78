-- Switches: what operators changed, one value for each key, with a version that only grows.
--
-- switches      hash: version; KEY -> JSON {key, value, version, closes, opens, end, by, replica,
--               process, at, others (newest version of this key by another process)}
-- switches_told hash: process -> number of its newest switch that was carried out here
--
-- said: version (known to the process), told [{n, key, value, seen, closes, opens, end, by, at}],
--       known [JSON text, ...] of switches, in quarantine
-- answer: version, done (number of its newest carried out), entries [JSON text, ...] newer than known

local function switches() return key('switches') end

local function entry_of(name)
  local found = redis.call('HGET', switches(), name)
  return found and cjson.decode(found) or nil
end

local function raise_version(to)
  local version = tonumber(redis.call('HGET', switches(), 'version') or 0)
  if to > version then redis.call('HSET', switches(), 'version', to) end
end

local function put(entry) redis.call('HSET', switches(), entry.key, cjson.encode(entry)) end

-- The newest version that somebody else than this process gave a key, its own switches in between
-- or not.
local function version_of_others(ctx, before)
  if not before then return 0 end
  return before.process == ctx.process and (before.others or 0) or before.version
end

local function carry_out(ctx, one)
  local before = entry_of(one.key)
  local others = version_of_others(ctx, before)
  -- An opening holds only over what whoever opened it had seen: a later cut of others stands.
  if one.opens and others > one.seen then return false end
  local version = tonumber(redis.call('HGET', switches(), 'version') or 0) + 1
  redis.call('HSET', switches(), 'version', version)
  put({
    key = one.key, value = one.value, version = version, closes = one.closes, opens = one.opens,
    ['end'] = one['end'], by = one.by, replica = ctx.replica, process = ctx.process, at = one.at,
    others = others,
  })
  local backend = string.match(one.key, '^cooldowns:(.*)$') or string.match(one.key, '^backend:(.*)$')
  if backend then ctx.clear_rests(backend) end
  return true
end

parts.switches = {
  is_first = true, -- what an operator ends is not told to anybody any more

  beat = function(ctx, said)
    local done = tonumber(redis.call('HGET', key('switches_told'), ctx.process) or 0)
    local has_changed, first = false, done
    for _, one in ipairs(said.told) do
      if one.n > done then
        if ctx.quarantine and one.opens then break end -- until all that is known was written back
        has_changed = carry_out(ctx, one) or has_changed
        done = one.n
      end
    end
    if done > first then redis.call('HSET', key('switches_told'), ctx.process, done) end
    if has_changed then ctx.nudge() end
    local version = tonumber(redis.call('HGET', switches(), 'version') or 0)
    local answer = { version = version, done = done, entries = {} }
    if version > said.version then
      local all = redis.call('HGETALL', switches())
      for at = 1, #all, 2 do
        if all[at] ~= 'version' and cjson.decode(all[at + 1]).version > said.version then
          answer.entries[#answer.entries + 1] = all[at + 1]
        end
      end
    end
    return answer
  end,

  restore = function(ctx, said)
    -- What is switched before all is known again is newer than what an opening saw of older data:
    -- nobody switches ten thousand times a second.
    if redis.call('HEXISTS', switches(), 'version') == 0 then
      raise_version(math.floor(ctx.now_us / 100))
    end
    for _, text_of_one in ipairs(given(said.known) or {}) do
      local one = cjson.decode(text_of_one)
      local before = entry_of(one.key)
      local newest = before and math.max(before.version, one.version) or one.version
      raise_version(newest)
      if not before then
        put(one)
      elseif before.closes and one.opens or before.opens and one.closes then
        -- Nobody can tell which came last: a cut beats an opening, and everybody is told so.
        local cut = before.closes and before or one
        cut.version = newest + 1
        raise_version(cut.version)
        put(cut)
      elseif one.version > before.version then
        put(one)
      end
    end
  end,

  leave = function(_, process) redis.call('HDEL', key('switches_told'), process) end,
}
