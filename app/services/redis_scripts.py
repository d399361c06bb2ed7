"""What runs inside Redis, each script as one step: https://redis.io/docs/latest/develop/programmability/eval-intro/

KEYS: the log (a stream), its state (a hash: epoch and number), the beats (a stream). Entries of the log are numbered by
us: numbers without holes make a gap visible, and Redis's own ids would not.
"""

LOG, STATE, BEATS = KEYS = ("{slipway}:log", "{slipway}:state", "{slipway}:beats")  # braces: one slot of a cluster

LATE = "LATE"  # what APPEND answers when the moment is over

_COMMON = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)  -- milliseconds

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
  redis.call('HSETNX', KEYS[2], 'epoch', name .. ':' .. newest() + 1)
  return redis.call('HGET', KEYS[2], 'epoch')
end

local function trim(seconds)
  while true do
    local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
    if not first or tonumber(first[2][2]) >= now - seconds * 1000 then return end
    redis.call('XDEL', KEYS[1], first[1])
  end
end
"""

# ARGV: a name for a new epoch, the message, how many are kept, the latest moment in milliseconds, the message's key or
# nothing, how many seconds are kept. A publisher that has been told of a failure must not find its message in the log
# when a Redis that was stopped goes on.
APPEND = (
    _COMMON
    + """
if now > tonumber(ARGV[4]) then return redis.error_reply('LATE') end
local name = epoch(ARGV[1])
local key = ARGV[5] ~= '' and KEYS[1] .. ':key:' .. ARGV[5]
local known = key and redis.call('GET', key)
if known then return {name, tonumber(known)} end
local number = newest() + 1
if key then redis.call('SET', key, number, 'EX', ARGV[6]) end
redis.call('HSET', KEYS[2], 'number', number)
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], number .. '-0', 'at', now, 'data', ARGV[2])
return {name, number}
"""
)

# ARGV: a name for a new epoch, after which number, how many, how many seconds are kept, after which beat.
READ = (
    _COMMON
    + """
trim(tonumber(ARGV[4]))
local name = epoch(ARGV[1])
local start = tonumber(string.match(name, ':(%d+)'))
local after = math.max(tonumber(ARGV[2]), start - 1)
local messages = redis.call('XRANGE', KEYS[1], '(' .. after .. '-0', '+', 'COUNT', ARGV[3])
local beats = redis.call('XRANGE', KEYS[3], '(' .. ARGV[5], '+')
return {name, newest(), messages, beats, now}
"""
)

# ARGV: a beat, how many are kept, how many seconds of the log are kept. Returns the time in milliseconds.
BEAT = (
    _COMMON
    + """
trim(tonumber(ARGV[3]))
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[1])
return now
"""
)

# ARGV: a name for a new epoch, the name of the old one.
RENEW = (
    _COMMON
    + """
if string.match(epoch(ARGV[1]), '^[^:]+') == ARGV[2] then
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1] .. ':' .. newest() + 1)
end
"""
)
