"""A script that tries all that the other scripts of the Redis store use, on keys of its own, before they are needed.

A server that refuses a command (its user may not run it, it is a replica) stops a script in the middle of its work, and
leaves half a change. So that is found out when the store is opened. It comes after LEAN of redis_scripts.py.
"""

from __future__ import annotations

from .redis_refusals import ACL, of_answer

#: -> {command, error, ...}: of the commands that the other scripts use, those that this server does not run
PROBE = """
local key, denied = P .. 'probe:', {}
local function try(name, ...)
  local said = redis.pcall(name, ...)
  if type(said) == 'table' and said.err then
    denied[#denied + 1] = name
    denied[#denied + 1] = said.err
  end
end
try('DEL', P .. 'relief')
for _, name in ipairs({'INCR', 'DECR', 'GET', 'EXISTS'}) do try(name, key .. 's') end
try('SET', key .. 's', 1, 'EX', 60)
try('MGET', key .. 's', key .. 't')
try('RENAME', key .. 's', key .. 't')
try('EXPIRE', key .. 't', 60)
try('HSET', key .. 'h', 'a', 1)
try('HINCRBY', key .. 'h', 'a', 1)
for _, name in ipairs({'HGET', 'HMGET', 'HSTRLEN', 'HDEL'}) do try(name, key .. 'h', 'a') end
try('HGETALL', key .. 'h')
try('ZADD', key .. 'z', 1, 'a')
for _, name in ipairs({'ZRANGE', 'ZRANGEBYSCORE'}) do try(name, key .. 'z', 0, 1) end
for _, name in ipairs({'ZCARD', 'ZPOPMIN'}) do try(name, key .. 'z') end
try('ZREM', key .. 'z', 'a')
try('RPUSH', key .. 'l', 'a')
try('LRANGE', key .. 'l', 0, 1)
try('LREM', key .. 'l', 1, 'a')
try('LLEN', key .. 'l')
try('SADD', key .. 'e', 'a')
try('SMEMBERS', key .. 'e')
try('SREM', key .. 'e', 'a')
try('PUBLISH', P .. 'wake', 'probe')
try('DEL', key .. 's', key .. 't', key .. 'h', key .. 'z', key .. 'l', key .. 'e')
return denied
"""


def denied(answers: list[tuple[str, str]]) -> str:
    """One line for what the script found: (command, error), at least one."""
    for _, error in answers:
        if ACL not in error:
            return of_answer(error)
    return f"its user may not run {' '.join(sorted({name for name, _ in answers}))} here, which a queue needs (ACL)"
