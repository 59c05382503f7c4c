-- Tell that a worker lives and what it does, and renew its leases, in one step.
-- KEYS: 1 leases (hash)   2 lease times (zset)   3 workers (hash: node -> seconds since the epoch and report)
-- ARGV: 1 node   2 report (JSON)   3 prefix of the keys that mark taken leases   4.. tags of the leases it holds
-- Reply: the tags that were taken from it.
local clock = redis.call('TIME')
local now = clock[1] .. '.' .. string.format('%06d', clock[2])
redis.call('HSET', KEYS[3], ARGV[1], now .. ' ' .. ARGV[2])
local taken = {}
for i = 4, #ARGV do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[2], 'XX', now, ARGV[i])
  elseif redis.call('EXISTS', ARGV[3] .. ARGV[i]) == 1 then
    taken[#taken + 1] = ARGV[i]
  end
end
return taken
