-- Open circuits, as each process has found them itself: hints to the others, which nobody has to obey.
--
-- hints  hash: process -> JSON {replica, circuits [BACKEND_AND_MODEL, ...]}, where there are any
--
-- said: circuits [BACKEND_AND_MODEL, ...] that are open in this process
-- answer: circuits [[BACKEND_AND_MODEL, replica], ...] of other live processes

parts.hints = {
  beat = function(ctx, said)
    local is_any = #said.circuits > 0
    if is_any then
      local told = cjson.encode({ replica = ctx.replica, circuits = said.circuits })
      redis.call('HSET', key('hints'), ctx.process, told)
    end
    local answer, all = {}, redis.call('HGETALL', key('hints'))
    for at = 1, #all, 2 do
      local is_own = all[at] == ctx.process
      if is_own and not is_any or not ctx.live[all[at]] then
        redis.call('HDEL', key('hints'), all[at])
      elseif not is_own then
        local one = cjson.decode(all[at + 1])
        for _, circuit in ipairs(one.circuits) do
          answer[#answer + 1] = { circuit, one.replica }
        end
      end
    end
    return { circuits = answer }
  end,

  leave = function(_, process) redis.call('HDEL', key('hints'), process) end,
}
