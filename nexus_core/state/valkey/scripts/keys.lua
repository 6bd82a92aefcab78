-- Created keys: the version of their table in PostgreSQL, so that a change is heard of at once.
--
-- keys  string: the highest version that any process has read, as text
--
-- said: version of the keys that the process goes by; 0: none
-- answer: version

parts.keys = {
  beat = function(ctx, said)
    local version = tonumber(redis.call('GET', key('keys')) or 0)
    if said.version > version then
      version = said.version
      redis.call('SET', key('keys'), text(version))
      ctx.nudge()
    end
    return { version = version }
  end,
}
