-- Give back messages whose lease ran out: their worker has not renewed it.
-- KEYS: 1 leases (hash)   2 lease times (zset)
-- ARGV: 1 seconds that a lease lives   2 how many at the most   3 separator between queue and priority
-- Reply: the tags whose lease is not in our layout; the caller restores those the stock way.
local clock = redis.call('TIME')
local before = tonumber(clock[1]) - tonumber(ARGV[1])
local foreign = {}
local tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', before, 'LIMIT', 0, tonumber(ARGV[2]))
for i = #tags, 1, -1 do  -- each goes to the head of its list, so the oldest goes last
  local tag = tags[i]
  local lease = redis.call('HGET', KEYS[1], tag)
  local message, queue
  if lease then message, queue = string.match(lease, '^%[(.*),"","([^"]*)"%]$') end
  if lease and not message then
    foreign[#foreign + 1] = tag
  else
    if message then
      local priority = tonumber(string.match(message, '"priority": ?(%d)') or '0')
      if priority > 5 then priority = 5 end
      local list = queue
      if priority > 1 then list = queue .. ARGV[3] .. priority end
      redis.call('RPUSH', list, message)
    end
    redis.call('HDEL', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
  end
end
return foreign
