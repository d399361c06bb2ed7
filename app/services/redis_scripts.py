"""Lua scripts that run inside Redis, each atomically: https://redis.io/docs/latest/develop/programmability/eval-intro/

KEYS: the log (a stream), its state (a hash: epoch, number, token, bytes), the beats (a stream), and the numbers of the
messages by their senders' keys (a hash). The scripts number the log's entries: numbers without holes make a gap
visible, Redis's own ids would not. READ writes only a missing epoch, so that it works where nothing can be written.
"""

# The braces keep all of them in one slot of a cluster.
LOG, STATE, BEATS, SENT = KEYS = ("{slipway}:log", "{slipway}:state", "{slipway}:beats", "{slipway}:sent")

LATE = "LATE"  # what APPEND answers after its latest moment

_COMMON = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)  -- milliseconds

-- Lua itself writes large numbers as 1e+15
local function digits(number) return string.format('%.0f', number) end

local function newest()
  local number = tonumber(redis.call('HGET', KEYS[2], 'number') or 0)
  local info = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('XINFO', 'STREAM', KEYS[1]) or {}
  for index = 1, #info, 2 do
    if info[index] == 'last-generated-id' then
      number = math.max(number, tonumber(string.match(info[index + 1], '%d+')))
    end
  end
  return number
end

-- 'name:start' of the epoch; a log without one has been lost, in whole or in part, or is new
local function epoch(name)
  local known = redis.call('HGET', KEYS[2], 'epoch')
  if known then return known end
  redis.call('HSET', KEYS[2], 'epoch', name .. ':' .. digits(newest() + 1))
  return redis.call('HGET', KEYS[2], 'epoch')
end

local function named(list)
  local fields = {}
  for index = 1, #list, 2 do fields[list[index]] = list[index + 1] end
  return fields
end

-- the bytes that a message takes, its entry's and its key's overhead included
local function cost(data, key)
  return #data + 200 + (key and 2 * #key + 200 or 0)
end

-- Forgets the oldest messages until there are at most so many, of at most so many bytes, none too old; a lowered limit
-- is reached in steps, since no other client is served meanwhile. Writes only where there is something to forget: Redis
-- refuses a script for lack of memory at its first write only.
local function trim(messages, bytes, seconds)
  local length = redis.call('XLEN', KEYS[1])
  local before = tonumber(redis.call('HGET', KEYS[2], 'bytes') or 0)
  local size = before
  for _ = 1, 1000 do
    local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
    if not entry then
      size = 0
      if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('DEL', KEYS[4]) end
      break
    end
    local fields = named(entry[2])
    local old = (tonumber(fields.at) or 0) < now - seconds * 1000
    if length <= messages and size <= bytes and not old then break end
    redis.call('XDEL', KEYS[1], entry[1])
    length = length - 1
    if fields.key then redis.call('HDEL', KEYS[4], fields.key) end
    if fields.token then size = math.max(0, size - cost(fields.data or '', fields.key)) end
  end
  if size ~= before then redis.call('HSET', KEYS[2], 'bytes', size) end
  return size
end
"""

# ARGV: a random name for a new epoch and for this message, the message, messages kept, the latest moment in
# milliseconds, the message's key or nothing, seconds kept, bytes kept. The latest moment keeps a paused Redis that
# resumes from appending a message whose publisher has been told of a failure.
APPEND = (
    _COMMON
    + """
if now > tonumber(ARGV[4]) then return redis.error_reply('LATE') end
local name = epoch(ARGV[1])
local key = ARGV[5] ~= '' and ARGV[5] or nil
local known = key and redis.call('HGET', KEYS[4], key)
if known and redis.call('XRANGE', KEYS[1], known .. '-0', known .. '-0')[1] then return {name, tonumber(known), 0} end
-- Room first: a Redis without memory for more then still takes one message for another.
local size = cost(ARGV[2], key)
local kept = trim(tonumber(ARGV[3]) - 1, math.max(0, tonumber(ARGV[7]) - size), tonumber(ARGV[6]))
local number = digits(newest() + 1)
local entry = {'at', now, 'data', ARGV[2], 'token', ARGV[1]}
if key then
  entry[7], entry[8] = 'key', key
  redis.call('HSET', KEYS[4], key, number)
end
redis.call('XADD', KEYS[1], number .. '-0', unpack(entry))
redis.call('HSET', KEYS[2], 'number', number, 'token', number .. ':' .. ARGV[1], 'bytes', kept + size)
return {name, tonumber(number), 1}
"""
)

# ARGV: a name for a new epoch, the number to read after, the limit, seconds kept, the beat to read after, and messages
# (number:token) that must be in the log unless they are no longer kept. A missing one reveals a lost end.
READ = (
    _COMMON
    + """
local name = epoch(ARGV[1])
local last = newest()
local start = tonumber(string.match(name, ':(%d+)'))
local after = math.max(tonumber(ARGV[2]), start - 1)
local newest_token = string.match(redis.call('HGET', KEYS[2], 'token') or '', '^' .. digits(last) .. ':(.*)') or ''

local forked = 0
for number, token in string.gmatch(ARGV[6], '(%d+):(%x+)') do
  local entry = redis.call('XRANGE', KEYS[1], number .. '-0', number .. '-0')[1]
  local found = entry and named(entry[2]).token or (tonumber(number) == last and newest_token) or token
  if found == '' then found = token end  -- written by an older version
  if found ~= token or tonumber(number) > last then forked = 1 end
end

local limit, oldest, messages = tonumber(ARGV[3]), now - tonumber(ARGV[4]) * 1000, {}
local from = digits(after + 1) .. '-0'
while limit > 0 do
  local found = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', limit)
  for _, entry in ipairs(found) do
    local fields = named(entry[2])
    local young = #messages > 0 or (tonumber(fields.at) or now) >= oldest
    if young and string.match(entry[1], '^%d+%-0$') then
      messages[#messages + 1] = {entry[1], fields.data or '', fields.token or ''}
    end
    from = '(' .. entry[1]
  end
  if #messages > 0 or #found < limit then break end  -- the first ones are too old
end

local beats = redis.call('XRANGE', KEYS[3], '(' .. ARGV[5], '+')
return {name, last, messages, beats, now, newest_token, forked}
"""
)

# ARGV: a beat, beats kept, and seconds, messages and bytes of the log kept.
# Returns the time in milliseconds.
BEAT = (
    _COMMON
    + """
trim(tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[3]))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[1])
return now
"""
)

# ARGV: a name for a new epoch, the name of the old one. No client reads the old epoch's messages any more, and a resent
# one counts as new.
RENEW = (
    _COMMON
    + """
if string.match(epoch(ARGV[1]), '^[^:]+') == ARGV[2] then
  local number = newest()
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1] .. ':' .. digits(number + 1), 'number', digits(number), 'bytes', 0)
  redis.call('DEL', KEYS[1], KEYS[4])
end
return 'renewed'
"""
)
