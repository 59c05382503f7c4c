-- Write all of a worker's news in one step: what started, what was let go, what ended.
-- KEYS: 1 leases (hash)   2 lease times (zset)   3 journal (stream)   4 this worker's last commit (string)
-- ARGV: 1 number of this commit   2 seconds to remember it   3 seconds that a result stays fresh
--       4 count of plain journal entries, then the entries
--       then the count of leases to give back, then for each: tag, queue list
--       then for each ended message: tag, journal entry or '', key of its result or '', result
-- Reply: the number of endings that were refused because the lease was no longer held; -1 when this commit had been
--        applied before (the reply got lost, and the worker asked again).
if redis.call('GET', KEYS[4]) == ARGV[1] then return -1 end
local fields, refused, i = {}, 0, 5
for _ = 1, tonumber(ARGV[4]) do
  fields[#fields + 1] = 'e' .. i
  fields[#fields + 1] = ARGV[i]
  i = i + 1
end
local returned = tonumber(ARGV[i])
i = i + 1
for _ = 1, returned do
  local lease = redis.call('HGET', KEYS[1], ARGV[i])
  if lease then
    local message = string.match(lease, '^%[(.*),"","[^"]*"%]$')
    if message then redis.call('RPUSH', ARGV[i + 1], message) end
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
  i = i + 2
end
while ARGV[i] do
  local mine = redis.call('HDEL', KEYS[1], ARGV[i]) == 1
  redis.call('ZREM', KEYS[2], ARGV[i])
  if not mine then refused = refused + 1 end
  if ARGV[i + 1] ~= '' then
    fields[#fields + 1] = (mine and 'e' or 'x') .. i
    fields[#fields + 1] = ARGV[i + 1]
  end
  if mine and ARGV[i + 2] ~= '' then
    redis.call('SET', ARGV[i + 2], ARGV[i + 3], 'EX', ARGV[3])
    redis.call('PUBLISH', ARGV[i + 2], ARGV[i + 3])
  end
  i = i + 4
end
if #fields > 0 then redis.call('XADD', KEYS[3], '*', unpack(fields)) end
redis.call('SET', KEYS[4], ARGV[1], 'EX', ARGV[2])
return refused
