-- Rests that a backend asked for by a 429's Retry-After: it speaks of the account, so all obey.
--
-- rests          hash: ["BACKEND","MODEL" or null] -> JSON {until_us (text), why, replica, process}
-- rests_cleared  hash: BACKEND -> when an operator ended its cooldowns, in us, as text
--
-- said: rests [[BACKEND_AND_MODEL, milliseconds left, why, milliseconds since it was asked], ...]
--       that this process was asked for
-- answer: rests [[BACKEND_AND_MODEL, milliseconds left, why, replica], ...] of other processes

local function is_cleared(ctx, one)
  local backend = cjson.decode(one[1])[1]
  local at = tonumber(redis.call('HGET', key('rests_cleared'), backend) or 0)
  return ctx.now_us - one[4] * 1000 < at
end

function ctx.clear_rests(backend)
  redis.call('HSET', key('rests_cleared'), backend, text(ctx.now_us))
  for _, field in ipairs(redis.call('HKEYS', key('rests'))) do
    if cjson.decode(field)[1] == backend then redis.call('HDEL', key('rests'), field) end
  end
end

local SAME_US = 300000 -- two reports of one rest differ by the time that they were on their way

parts.rests = {
  beat = function(ctx, said)
    local has_changed = false
    for _, one in ipairs(said.rests) do
      local found = redis.call('HGET', key('rests'), one[1])
      local until_us = ctx.now_us + one[2] * 1000
      if is_cleared(ctx, one) then
        -- whoever told it did not know yet
      elseif not found or tonumber(cjson.decode(found).until_us) + SAME_US < until_us then
        has_changed = true
        redis.call('HSET', key('rests'), one[1], cjson.encode({
          until_us = text(until_us), why = one[3], replica = ctx.replica, process = ctx.process,
        }))
      end
    end
    if has_changed then ctx.nudge() end
    local told = {}
    local all = redis.call('HGETALL', key('rests'))
    for at = 1, #all, 2 do
      local one = cjson.decode(all[at + 1])
      local left_ms = math.floor((tonumber(one.until_us) - ctx.now_us) / 1000)
      if left_ms <= 0 then
        redis.call('HDEL', key('rests'), all[at])
      elseif one.process ~= ctx.process then
        told[#told + 1] = { all[at], left_ms, one.why, one.replica }
      end
    end
    return { rests = told }
  end,
}
