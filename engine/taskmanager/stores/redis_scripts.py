"""The Lua scripts of the Redis store: each change of the queue is one of them, so it happens whole or not at all.

Keys (all begin with the queue's prefix KEYS[1]):

    n front e        counters: task number, places before the front (negative), order of ends
    w  w:TAG         waiting tasks, sorted by place          r   running ones, by the moment of the hand-out
    f  f:TAG  q:WHO  outcomes by order of end: all, per tag, per requester
    t:ID             one task: g tag, s state, a attempt, l losses, o owner, q requester, i retriable, m most losses,
                     x nodes to avoid, b parameters, v result, c d z times of request, hand-out and end
    pn pi ps heard   process counter; per process: facts, milliseconds of silence allowed, last sign of life
    p  h:PID         deadlines; tasks that a process holds, oldest first
    tags data        all tags, data items
    end pause        mode of termination; there while nothing is handed out
    y:CLIENT k:CLIENT  last answer to a client and the outcome that it fetched last

ARGV[1] and ARGV[2] are the caller's name and the number of its call. A call whose answer was lost with the connection
is sent again under the same number and gets the same answer; it is never done twice.
"""

from __future__ import annotations

#: Helpers of all scripts; milliseconds everywhere.
LEAN = """
local P, call = KEYS[1], redis.call
local client, seq = ARGV[1], tonumber(ARGV[2])
local WAITING, LEASED, DONE, FAILED, CANCELLED, LOST = '0', '1', '2', '3', '4', '5'

local function clock()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
-- A write that needs no memory: after it, a server whose memory is full lets a script finish. What works the queue off
-- begins so; what adds to it does not.
local function relieve() call('DEL', P .. 'relief') end
local function answered()
  local kept = call('GET', P .. 'y:' .. client)
  if not kept then return nil end
  local cut = string.find(kept, ' ', 1, true)
  if tonumber(string.sub(kept, 1, cut - 1)) < seq then return nil end
  return string.sub(kept, cut + 1)
end
local function answer(text)
  call('SET', P .. 'y:' .. client, ARGV[2] .. ' ' .. text, 'EX', 300)
  return text
end
local function tag_of(id) return string.match(id, '^(.*)_%d+$') end
local function tell(what, tag, id, who)
  call('PUBLISH', P .. 'wake', what .. '|' .. tag .. '|' .. id .. '|' .. (who or ''))
end
local function drop_lease(id, owner)
  call('ZREM', P .. 'r', id)
  if owner and owner ~= '' then call('LREM', P .. 'h:' .. owner, 1, id) end
end
local function finish(id, tag, who, state, value)
  local order = call('INCR', P .. 'e')
  call('HSET', P .. 't:' .. id, 's', state, 'v', value, 'z', clock())
  call('ZADD', P .. 'f', order, id)
  call('ZADD', P .. 'f:' .. tag, order, id)
  if who and who ~= '' then call('ZADD', P .. 'q:' .. who, order, id) end
  tell('result', tag, id, who)
end
local function heard(pid, now)
  local silence = call('HGET', P .. 'ps', pid)
  if not silence then return false end
  if silence ~= '' then call('ZADD', P .. 'p', now + silence, pid) end
  call('HSET', P .. 'heard', pid, now)
  return true
end
local function holds(id, attempt, state)
  local had = call('HMGET', P .. 't:' .. id, 's', 'a', 'o', 'q')
  if had[1] ~= LEASED and had[1] ~= state then return nil end
  if attempt == '' then attempt = '1' end
  if had[2] ~= attempt then return nil end
  return had
end
"""

#: What the rarer scripts need besides: a server makes all these functions anew at each call.
FULL = (
    LEAN
    + """
local function enter(id, tag, place)
  call('ZADD', P .. 'w', place, id)
  call('ZADD', P .. 'w:' .. tag, place, id)
  tell('task', tag, id)
end
local function failure(kind, message)
  return cjson.encode({type_name = kind, message = message, traceback = ''})
end
local function to_front(id, tag)
  call('HSET', P .. 't:' .. id, 's', WAITING)
  call('HDEL', P .. 't:' .. id, 'o', 'v', 'd', 'z')
  enter(id, tag, call('DECR', P .. 'front'))
end
local function take_back(id, lost, node)
  local key, tag = P .. 't:' .. id, tag_of(id)
  local had = call('HMGET', key, 'o', 'q', 'l', 'i', 'm', 'x')
  drop_lease(id, had[1])
  local losses = tonumber(had[3])
  if lost then losses = call('HINCRBY', key, 'l', 1) end
  if lost and had[4] ~= '1' then
    finish(id, tag, had[2], LOST, failure('TaskLost', 'the worker that ran it vanished and it may not be run twice'))
  elseif lost and losses >= tonumber(had[5]) then
    finish(id, tag, had[2], FAILED, failure('TaskLost', losses .. ' workers vanished while they had it'))
  else
    if node and node ~= '' then
      local avoid = had[6] and cjson.decode(had[6]) or {}
      avoid[#avoid + 1] = node
      call('HSET', key, 'x', cjson.encode(avoid))
    end
    to_front(id, tag)
  end
end
local function release(pid)
  local held = call('LRANGE', P .. 'h:' .. pid, 0, -1)
  for at = #held, 1, -1 do take_back(held[at], true, nil) end
  call('DEL', P .. 'h:' .. pid)
  call('ZREM', P .. 'p', pid)
  call('HDEL', P .. 'heard', pid)
  call('HDEL', P .. 'ps', pid)
  local known = call('HDEL', P .. 'pi', pid)
  tell('all', '', '')
  return known
end
local function reap(now)
  for _, pid in ipairs(call('ZRANGEBYSCORE', P .. 'p', '-inf', now, 'LIMIT', 0, 1000)) do release(pid) end
end
"""
)

#: limit tag requester retriable max_attempts not_on payload... -> ids joined by blanks, "" = full
ADD = """
local kept = answered()
if kept then return kept end
local limit, tag, who = tonumber(ARGV[3]), ARGV[4], ARGV[5]
if limit >= 0 and call('ZCARD', P .. 'w') + #ARGV - 8 > limit then return answer('') end
call('SADD', P .. 'tags', tag)
local now, ids = clock(), {}
for at = 9, #ARGV do
  local place = call('INCR', P .. 'n')
  local id = tag .. '_' .. (place - 1)
  local key = P .. 't:' .. id
  call('HSET', key, 's', WAITING, 'a', 0, 'l', 0, 'q', who, 'i', ARGV[6], 'm', ARGV[7], 'b', ARGV[at], 'c', now)
  if ARGV[8] ~= '' then call('HSET', key, 'x', ARGV[8]) end
  enter(id, tag, place)
  ids[#ids + 1] = id
end
return answer(table.concat(ids, ' '))
"""

#: pid node nodes tag... -> {id, attempt, payload}, {} = nothing, {"unknown"}, {"reap"} = run REAP first;
#: nodes: JSON list, "" = strict
TAKE = """
local kept = answered()
if kept then
  local id, attempt = string.match(kept, '^(.*) (%d+)$')
  local had = call('HMGET', P .. 't:' .. id, 's', 'a', 'b')
  -- In the meantime the lease may have been given up, and the task be another's.
  if had[1] ~= LEASED or had[2] ~= attempt then return {} end
  return {id, attempt, had[3]}
end
local pid, node, now = ARGV[3], ARGV[4], clock()
if call('ZRANGEBYSCORE', P .. 'p', '-inf', now, 'LIMIT', 0, 1)[1] then return {'reap'} end
if pid ~= '' then
  relieve()
  if not heard(pid, now) then return {'unknown'} end
end
local mode = call('MGET', P .. 'end', P .. 'bounded', P .. 'pause')
if mode[1] == 'now' or mode[3] then return {} end
local nodes = ARGV[5] ~= '' and cjson.decode(ARGV[5]) or nil
local function suits(id)
  if node == '' then return true end
  local avoid = call('HGET', P .. 't:' .. id, 'x')
  if not avoid then return true end
  local set = {}
  for _, name in ipairs(cjson.decode(avoid)) do set[name] = true end
  if not set[node] then return true end
  if not nodes then return false end
  for _, name in ipairs(nodes) do if not set[name] then return false end end
  return true
end
local function foremost(lane)
  local from = 0
  while true do
    local step = node == '' and 1 or 100
    local some = call('ZRANGE', lane, from, from + step - 1, 'WITHSCORES')
    for at = 1, #some, 2 do
      if suits(some[at]) then return some[at], tonumber(some[at + 1]) end
    end
    if #some < 2 * step then return nil end
    from = from + step
  end
end
local id, place
if #ARGV < 6 and node == '' then
  id = call('ZPOPMIN', P .. 'w')[1]
elseif #ARGV < 6 then
  id = foremost(P .. 'w')
else
  for at = 6, #ARGV do
    local other, where = foremost(P .. 'w:' .. ARGV[at])
    if other and (not id or where < place) then id, place = other, where end
  end
end
if not id then return {} end
local tag = tag_of(id)
call('ZREM', P .. 'w', id)
call('ZREM', P .. 'w:' .. tag, id)
call('ZADD', P .. 'r', now, id)
local key = P .. 't:' .. id
local had = call('HMGET', key, 'a', 'b')
local attempt = tostring(had[1] + 1)
call('HSET', key, 'a', attempt, 's', LEASED, 'o', pid, 'd', now)
if pid ~= '' then call('RPUSH', P .. 'h:' .. pid, id) end
if mode[2] then tell('space', '', '') end
answer(id .. ' ' .. attempt)
return {id, attempt, had[2]}
"""

#: id attempt state payload -> "1" or "0"
FINISH = """
local kept = answered()
if kept then return kept end
local id = ARGV[3]
local had = holds(id, ARGV[4], LOST)
if not had then return answer('0') end
if had[1] == LOST then
  call('ZREM', P .. 'f', id)
  call('ZREM', P .. 'f:' .. tag_of(id), id)
  call('ZREM', P .. 'q:' .. had[4], id)
else
  drop_lease(id, had[3])
end
finish(id, tag_of(id), had[4], ARGV[5], ARGV[6])
return answer('1')
"""

#: id attempt lost node -> "1" or "0"
GIVE_BACK = """
local kept = answered()
if kept then return kept end
if not holds(ARGV[3], ARGV[4]) then return answer('0') end
take_back(ARGV[3], ARGV[5] == '1', ARGV[6])
return answer('1')
"""

#: id -> "1" or "0"
CANCEL = """
local kept = answered()
if kept then return kept end
local id = ARGV[3]
local had = call('HMGET', P .. 't:' .. id, 's', 'o', 'q')
if had[1] == LEASED then
  drop_lease(id, had[2])
elseif had[1] == WAITING then
  call('ZREM', P .. 'w', id)
  call('ZREM', P .. 'w:' .. tag_of(id), id)
  tell('space', '', '')
else
  return answer('0')
end
finish(id, tag_of(id), had[3], CANCELLED, failure('TaskCancelled', 'cancelled before it finished'))
return answer('1')
"""

#: id -> "1" or "0"
RETRY = """
local kept = answered()
if kept then return kept end
local id = ARGV[3]
local had = call('HMGET', P .. 't:' .. id, 's', 'q')
if had[1] ~= FAILED and had[1] ~= CANCELLED and had[1] ~= LOST then return answer('0') end
call('ZREM', P .. 'f', id)
call('ZREM', P .. 'f:' .. tag_of(id), id)
if had[2] ~= '' then call('ZREM', P .. 'q:' .. had[2], id) end
call('HSET', P .. 't:' .. id, 'l', 0)
to_front(id, tag_of(id))
return answer('1')
"""

#: how what -> {id, state, payload} or {}; how: any, id, tag, requester. The fetched task stays a while as k:CLIENT, so
#: that a reader whose connection broke during the call still gets it.
COLLECT = """
local mine = P .. 'k:' .. client
local function given(id)
  if id == '' then return {} end
  local had = call('HMGET', mine, 's', 'v')
  return {id, had[1], had[2]}
end
local kept = answered()
if kept then return given(kept) end
local how, what, id = ARGV[3], ARGV[4], nil
if how == 'id' then
  local state = call('HGET', P .. 't:' .. what, 's')
  if state and state >= DONE then id = what end
else
  local lane = P .. 'f'
  if how == 'tag' then lane = P .. 'f:' .. what elseif how == 'requester' then lane = P .. 'q:' .. what end
  id = call('ZRANGE', lane, 0, 0)[1]
end
if not id then return {} end
call('ZREM', P .. 'f', id)
call('ZREM', P .. 'f:' .. tag_of(id), id)
local who = call('HGET', P .. 't:' .. id, 'q')
if who ~= '' then call('ZREM', P .. 'q:' .. who, id) end
call('RENAME', P .. 't:' .. id, mine)
call('EXPIRE', mine, 300)
if call('EXISTS', P .. 'end') == 1 then tell('all', '', '') end
answer(id)
return given(id)
"""

#: -> {tag, waiting, running, finished, ...}
COUNTS = """
reap(clock())
local running, found = {}, {}
for _, id in ipairs(call('ZRANGE', P .. 'r', 0, -1)) do
  local tag = tag_of(id)
  running[tag] = (running[tag] or 0) + 1
end
for _, tag in ipairs(call('SMEMBERS', P .. 'tags')) do
  local waiting, finished = call('ZCARD', P .. 'w:' .. tag), call('ZCARD', P .. 'f:' .. tag)
  if waiting + finished == 0 and not running[tag] then
    call('SREM', P .. 'tags', tag)
  else
    for _, value in ipairs({tag, waiting, running[tag] or 0, finished}) do found[#found + 1] = value end
  end
end
return found
"""

#: limit wanted-states -> {{id, state, attempt, losses, owner, requester, added, started, ended, parameters}, ...};
#: parameters of more than 4,000 bytes are left out
TASKS = """
local left, found = tonumber(ARGV[3]), {}
local function gather(lane)
  local from = 0
  while left > 0 do
    local ids = call('ZRANGE', lane, from, from + 499)
    for _, id in ipairs(ids) do
      local had = call('HMGET', P .. 't:' .. id, 's', 'a', 'l', 'o', 'q', 'c', 'd', 'z')
      if left > 0 and string.find(ARGV[4], had[1], 1, true) then
        left = left - 1
        local short = call('HSTRLEN', P .. 't:' .. id, 'b') <= 4000
        had[#had + 1] = short and call('HGET', P .. 't:' .. id, 'b') or ''
        found[#found + 1] = {id, unpack(had)}
      end
    end
    if #ids < 500 then return end
    from = from + 500
  end
end
if string.find(ARGV[4], WAITING, 1, true) then gather(P .. 'w') end
if string.find(ARGV[4], LEASED, 1, true) then gather(P .. 'r') end
if string.find(ARGV[4], '[2345]') then gather(P .. 'f') end
return found
"""

#: mode or "" -> 1
TERMINATE = """
relieve()
if ARGV[3] == '' then call('DEL', P .. 'end') else call('SET', P .. 'end', ARGV[3]) end
tell('all', '', '')
return 1
"""

#: "1" or "" -> 1
PAUSE = """
relieve()
if ARGV[3] == '' then call('DEL', P .. 'pause') else call('SET', P .. 'pause', clock()) end
tell('all', '', '')
return 1
"""
