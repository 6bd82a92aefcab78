-- Run by the store for each call of a process: who lives, what is in quarantine, then every part.
--
-- KEYS[1] is {nexus:FLEET}:run, from which all other keys follow: they carry one tag, so that a
-- cluster keeps them in one slot. ARGV[1] is what is asked, ARGV[2] is JSON:
--   beat   process, replica, run, data (those that hold what it knows, as last answered), dead_ms,
--          silent_ms (since the store's last word), member (JSON text, when it is news or was asked
--          for), confirmed (version of the switches), parts {NAME: report}, takes [[NAME, question],
--          ...]; where data were lost: seen {PROCESS: milliseconds since it was heard}
--   take   the same without member and parts
--   leave  as a beat, after which this process, or the one named as `other`, is forgotten
--   forget a question to every part for an operator: {replica}
--
-- A part is a table of functions in `parts`, each optional; ctx is the call:
--   beat(ctx, said) -> answer       said: the report; absolute values, which may come twice or late
--   take(ctx, said) -> answer       said: one question
--   restore(ctx, said)              in quarantine, before its beat: raise what is kept to the maximum
--   leave(ctx, process)             the process gives back what it holds
--   forget(ctx, said) -> answer
--   is_first                        its beat comes before those of the others
-- ctx: key(name), now_us, now_ms, process, replica, quarantine, live {PROCESS: true},
--      members (number of live ones), fresh (this process had not beaten, or was held for dead:
--      what it says to hold counts for nothing until it is granted again, also where it restores),
--      nudge()
--
-- Numbers: cjson writes 14 digits. Amounts and times that may be longer are kept and answered as
-- text, by `text(n)`; Lua's own numbers are exact up to 2^53. An empty table is written as {}, also
-- where it means a list.

local parts = {}
local prefix = string.sub(KEYS[1], 1, -4)
local said = cjson.decode(ARGV[2])
local QUARANTINE_MS = 1000 -- at least; longer while somebody who knows more may still be alive
local DEAD_FOR_MS = 3600000 -- after an hour a dead process is no longer told of

local function key(name) return prefix .. name end

local function text(n) return string.format('%.0f', n) end

local function given(value)
  if value == nil or value == cjson.null then return nil end
  return value
end

local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)

local ctx = {
  key = key, now_us = now_us, now_ms = now_ms,
  process = said.process, replica = said.replica, live = {}, members = 0, quarantine = false,
}

function ctx.nudge() redis.call('PUBLISH', key('nudge'), said.process) end

-- Whether a part's report is the newest of this process; `order` keeps its number ("PART PROCESS")
-- until the part lets it go.
local function is_newest(part, seq)
  local order, field = key('order'), part .. ' ' .. said.process
  if seq <= tonumber(redis.call('HGET', order, field) or '0') then return false end
  redis.call('HSET', order, field, text(seq))
  return true
end

-- Data of another run of the server, or none: whoever lives writes back what it knows.
-- quarantine  string  when it ends at the earliest; expires when it ends
-- awaited     zset    process -> until when it is waited for; 0: it has come back, or has left
local function look_for_lost_data()
  if redis.call('GET', key('run')) ~= said.run then
    redis.call('SET', key('run'), said.run)
    redis.call('SET', key('quarantine'), text(now_ms + QUARANTINE_MS), 'PX', QUARANTINE_MS)
    redis.call('DEL', key('beats'), key('awaited')) -- whoever lives beats within it
    redis.call('SET', key('data'), text(now_us) .. ' ' .. said.process)
    ctx.quarantine = true
  else
    ctx.quarantine = redis.call('EXISTS', key('quarantine')) == 1
  end
  ctx.data = redis.call('GET', key('data')) or ''
  -- It knew other data, and was away when the others wrote back what they know of them.
  ctx.late = not ctx.quarantine and given(said.data) ~= nil and said.data ~= ctx.data
end

local function place(process) return string.match(process, '^(.*)%.') end

-- The quarantine ends when everybody has written back who was heard before the data were lost, or
-- counts as dead by what those say who heard it. In its place another process may have begun.
local function await_others(gone)
  local awaited, own = key('awaited'), place(said.process)
  -- One that has not heard of it yet does so now, and writes back with its next beat.
  local has_news = given(said.data) ~= nil and said.data ~= ctx.data and not given(said.seen)
  for process, ago_ms in pairs(given(said.seen) or {}) do
    if place(process) ~= own then
      redis.call('ZADD', awaited, 'NX', math.max(0, now_ms + said.dead_ms - ago_ms), process)
    end
  end
  for _, process in ipairs(redis.call('ZRANGEBYSCORE', awaited, '(0', '+inf')) do
    local has_successor = place(process) == own and process ~= said.process
    if has_successor or process == gone then redis.call('ZADD', awaited, 0, process) end
  end
  if gone or not has_news then redis.call('ZADD', awaited, 0, gone or said.process) end
  -- Further ahead than anything is set: the clock went back.
  local least, latest = tonumber(redis.call('GET', key('quarantine'))), now_ms + said.dead_ms
  if least > now_ms + QUARANTINE_MS then
    least = now_ms + QUARANTINE_MS
    redis.call('SET', key('quarantine'), text(least), 'PX', QUARANTINE_MS)
  end
  for _, process in ipairs(redis.call('ZRANGEBYSCORE', awaited, '(' .. text(latest), '+inf')) do
    redis.call('ZADD', awaited, latest, process)
  end
  local last = redis.call('ZREVRANGE', awaited, 0, 0, 'WITHSCORES')
  local ends = math.max(least, tonumber(last[2] or 0))
  if ends > now_ms then
    redis.call('PEXPIRE', key('quarantine'), ends - now_ms)
    redis.call('PEXPIRE', awaited, ends - now_ms + QUARANTINE_MS)
  else
    redis.call('DEL', key('quarantine'), awaited)
    ctx.nudge()
  end
end

-- Silence counts only while somebody was there to hear it: after a pause or a step of the clock
-- nobody has died of it.
local function mend_beats(dead_ms)
  local newest = redis.call('ZREVRANGE', key('beats'), 0, 0, 'WITHSCORES')
  if not newest[2] then return end
  local by = now_ms - tonumber(newest[2])
  if by > dead_ms or by < -1000 then
    for _, process in ipairs(redis.call('ZRANGE', key('beats'), 0, -1)) do
      redis.call('ZINCRBY', key('beats'), by, process)
    end
  end
end

local function see_who_lives(dead_ms, is_beat)
  local beats = key('beats')
  mend_beats(dead_ms)
  local last = redis.call('ZSCORE', beats, said.process)
  local silent_ms = ctx.late and said.silent_ms or last and now_ms - tonumber(last)
  ctx.fresh = not ctx.quarantine and (not silent_ms or silent_ms > dead_ms)
  if is_beat then redis.call('ZADD', beats, now_ms, said.process) end
  ctx.live[said.process] = true
  for _, process in ipairs(redis.call('ZRANGEBYSCORE', beats, now_ms - dead_ms, '+inf')) do
    ctx.live[process] = true
  end
  for _ in pairs(ctx.live) do ctx.members = ctx.members + 1 end
  if ctx.late then ctx.quarantine = true end -- in which it writes that back, too
end

local function drop_member(process)
  redis.call('HDEL', key('members'), process)
  redis.call('HDEL', key('confirmed'), process)
  redis.call('ZREM', key('beats'), process)
end

local function names_in_order()
  local names = {}
  for name in pairs(parts) do names[#names + 1] = name end
  table.sort(names, function(one, other)
    local first, second = parts[one].is_first or false, parts[other].is_first or false
    if first ~= second then return first end
    return one < other
  end)
  return names
end

local function leave(process)
  for _, name in ipairs(names_in_order()) do
    if parts[name].leave then parts[name].leave(ctx, process) end
  end
  drop_member(process)
end

local function told_members()
  local told, live_places = {}, {}
  local members = redis.call('HGETALL', key('members'))
  for at = 1, #members, 2 do
    local one = cjson.decode(members[at + 1])
    if ctx.live[members[at]] then
      live_places[one.replica .. ' ' .. tostring(one.worker)] = true
    end
  end
  for at = 1, #members, 2 do
    local process, one = members[at], cjson.decode(members[at + 1])
    local beat = tonumber(redis.call('ZSCORE', key('beats'), process) or 0)
    local is_dead = not ctx.live[process]
    local has_successor = is_dead and live_places[one.replica .. ' ' .. tostring(one.worker)]
    if has_successor or (is_dead and beat > 0 and now_ms - beat > DEAD_FOR_MS) then
      leave(process)
    elseif not (is_dead and ctx.quarantine) then
      -- Dead since before data were lost: its hour begins now.
      if beat == 0 then redis.call('ZADD', key('beats'), now_ms - said.dead_ms - 1, process) end
      told[#told + 1] = {
        process, members[at + 1], beat > 0 and now_ms - beat or -1, is_dead,
        tonumber(redis.call('HGET', key('confirmed'), process) or 0),
      }
    end
  end
  return told
end

local function beat()
  local answer = { parts = {} }
  if given(said.member) then redis.call('HSET', key('members'), said.process, said.member) end
  redis.call('HSET', key('confirmed'), said.process, given(said.confirmed) or 0)
  for name, report in pairs(said.parts) do
    if not parts[name] then answer.parts[name] = {} end
  end
  for _, name in ipairs(names_in_order()) do
    local part, report = parts[name], given(said.parts[name])
    if report then
      if ctx.quarantine and part.restore then part.restore(ctx, report) end
      answer.parts[name] = part.beat and part.beat(ctx, report) or {}
    end
  end
  answer.unknown = redis.call('HEXISTS', key('members'), said.process) == 0
  answer.members = told_members()
  return answer
end

local function taken()
  local answers = {}
  for at, take in ipairs(given(said.takes) or {}) do
    local part = parts[take[1]]
    answers[at] = part and part.take and part.take(ctx, take[2]) or {}
  end
  return answers
end

local function forget()
  local answers = {}
  for _, name in ipairs(names_in_order()) do
    if parts[name].forget then answers[name] = parts[name].forget(ctx, said) end
  end
  local members = redis.call('HGETALL', key('members'))
  for at = 1, #members, 2 do
    if cjson.decode(members[at + 1]).replica == said.replica_to_forget
        and not ctx.live[members[at]] then
      drop_member(members[at])
    end
  end
  return answers
end
