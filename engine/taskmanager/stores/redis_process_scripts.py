"""The Lua scripts of the Redis store about processes: who works for the queue, and since when nothing was heard.

They come after FULL of redis_scripts.py, where the keys are told; `reap` and `release` are its functions.
"""

from __future__ import annotations

#: silence period info -> pid; silence in milliseconds, "" = for ever
REGISTER = """
local kept = answered()
if kept then return kept end
relieve()
local pid, now = call('INCR', P .. 'pn') - 1, clock()
call('HSET', P .. 'pi', pid, cjson.encode({period = tonumber(ARGV[4]), info = ARGV[5]}))
call('HSET', P .. 'ps', pid, ARGV[3])
call('HSET', P .. 'heard', pid, now)
if ARGV[3] ~= '' then call('ZADD', P .. 'p', now + ARGV[3], pid) end
return answer(tostring(pid))
"""

#: pid -> "1" or "0"
UNREGISTER = """
local kept = answered()
if kept then return kept end
return answer(tostring(release(ARGV[3])))
"""

#: pid -> 1 or 0
PING = """
local now = clock()
relieve()
reap(now)
return heard(ARGV[3], now) and 1 or 0
"""

#: -> milliseconds until the next deadline, -1 = none
REAP = """
local now = clock()
reap(now)
local next = call('ZRANGE', P .. 'p', 0, 0, 'WITHSCORES')
return next[2] and math.max(0, next[2] - now) or -1
"""

#: -> {pid, facts, silent, running, ...}
PROCESSES = """
local now, found = clock(), {}
reap(now)
local all = call('HGETALL', P .. 'pi')
for at = 1, #all, 2 do
  local pid = all[at]
  local heard = call('HGET', P .. 'heard', pid)
  for _, value in ipairs({pid, all[at + 1], tostring(now - heard), call('LLEN', P .. 'h:' .. pid)}) do
    found[#found + 1] = value
  end
end
return found
"""
