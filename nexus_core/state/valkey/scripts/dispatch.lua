-- After all parts: do what was asked.
local verb = ARGV[1]
look_for_lost_data()
local other = given(said.other)
see_who_lives(said.dead_ms, verb == 'beat' or (verb == 'leave' and not other))
local answer = {}
if verb == 'beat' or (verb == 'leave' and given(said.parts)) then answer = beat() end
if verb == 'leave' then leave(other or said.process) end
if verb == 'forget' then answer.forgotten = forget() end
answer.takes = taken()
-- Last: what this process wrote back holds for those that come after it.
if ctx.quarantine and not ctx.late and verb ~= 'take' and verb ~= 'forget' then
  await_others(verb == 'leave' and (other or said.process) or nil)
end
answer.quarantine = ctx.quarantine
answer.quarantine_ms = ctx.quarantine and redis.call('PTTL', key('quarantine')) or nil
answer.data = ctx.data
answer.fresh = ctx.fresh
answer.live = ctx.members
return cjson.encode(answer)
