-- Let something through at a rate, in constant space: one key a name holds the time at which all that was let through
-- would have been (the generic cell rate algorithm, ITU-T I.371).
-- KEYS: the key.  ARGV: units, seconds a unit, units that may come at once.
-- Reply: 0 when it may, else the milliseconds after which it may.
local units, each, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('time')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local due = math.max(tonumber(redis.call('get', KEYS[1]) or '0'), now) + units * each
local wait = due - burst * each - now
if wait > 0 then return math.ceil(wait * 1000) end
redis.call('set', KEYS[1], string.format('%.6f', due), 'PX', math.ceil((due - now) * 1000) + 1)
return 0
