-- Write all of a worker's news in one step: what started, what was let go, what ended.
-- KEYS: 1 leases (hash)   2 lease times (zset)   3 journal (stream)   4 this worker's last commit (string)
--       5 starts (hash: tag -> journal entry), of what runs longer than a commit takes
--       6 fences (hash: task id -> the lowest attempt whose message counts)
-- ARGV: 1 number of this commit   2 seconds to remember it   3 seconds that a result stays fresh
--       4 prefix of the keys that mark taken leases
--       5 seconds to keep the fences and the marks made here
--       6 count of plain journal entries, then the entries
--       then the count of leases that Redis forgot, then for each: tag, lease, journal entry of its start or ''
--       then the count of starts, then for each: tag, journal entry
--       then the count of leases to give back, then for each: tag, queue list
--       then for each ended message: tag, journal entry or '', key of its result or '', result
-- Reply: the number of starts and endings that were refused because the lease had been taken away, and whether Redis
--        had forgotten the commit before this one (0 or 1). A commit that had been applied before, as the reply got
--        lost and the worker asked again, changes nothing, however late it comes. A lease that is merely gone, with a
--        Redis that lost its memory, refuses nothing: nobody else was given the job. The message of a forgotten lease
--        may be in its queue again: a fence keeps it from being handed out. If a newer one was published meanwhile, the
--        lease counts as taken.
-- A Redis that is full refuses what takes memory, unless its script has written before. Settling lets go of more than it
-- takes, so it goes on.
redis.call('HDEL', KEYS[1], '')
local number, last = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[4]) or '0')
if last >= number then return {0, 0} end
local fields, refused, i = {}, 0, 7
local function journal(field, entry)
  fields[#fields + 1] = field .. i
  fields[#fields + 1] = entry
end
-- A message that goes back counts again, should it stand behind the fence of a lease that had been forgotten.
local function let_count(message)
  local task = string.match(message, '"correlation_id": ?"([^"]+)"') or ''
  local attempt = tonumber(string.match(message, '"jp_attempt": ?(%d+)') or '1')
  if tonumber(redis.call('HGET', KEYS[6], task) or '0') == attempt + 0.5 then redis.call('HSET', KEYS[6], task, attempt) end
end
for _ = 1, tonumber(ARGV[6]) do
  journal('e', ARGV[i])
  i = i + 1
end
local forgotten = tonumber(ARGV[i])
i = i + 1
for _ = 1, forgotten do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 and redis.call('EXISTS', ARGV[4] .. ARGV[i]) == 0 then
    local task = string.match(ARGV[i + 1], '"correlation_id": ?"([^"]+)"') or ''
    local attempt = tonumber(string.match(ARGV[i + 1], '"jp_attempt": ?(%d+)') or '1')
    local fence = tonumber(redis.call('HGET', KEYS[6], task) or '0')
    if fence >= attempt + 1 then
      redis.call('SET', ARGV[4] .. ARGV[i], '1', 'EX', ARGV[5])
    else
      local clock = redis.call('TIME')
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
      redis.call('ZADD', KEYS[2], clock[1] .. '.' .. string.format('%06d', clock[2]), ARGV[i])
      if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 2]) end
      redis.call('HSET', KEYS[6], task, tostring(math.max(fence, attempt + 0.5)))
      limits.restore(ARGV[i], ARGV[i + 1])
    end
  end
  i = i + 3
end
if forgotten > 0 then redis.call('EXPIRE', KEYS[6], ARGV[5]) end
local starts = tonumber(ARGV[i])
i = i + 1
for _ = 1, starts do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1])
    journal('e', ARGV[i + 1])
  elseif redis.call('EXISTS', ARGV[4] .. ARGV[i]) == 1 then
    refused = refused + 1
    journal('x', ARGV[i + 1])
  else
    journal('e', ARGV[i + 1])
  end
  i = i + 2
end
local slots = redis.call('EXISTS', 'jp:slots') == 1
local returned = tonumber(ARGV[i])
i = i + 1
for _ = 1, returned do
  local lease = redis.call('HGET', KEYS[1], ARGV[i])
  if lease then
    local message = string.match(lease, '^%[(.*),"","[^"]*"%]$')
    if message then
      limits.put_back(ARGV[i + 1], message)
      let_count(message)
    end
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('HDEL', KEYS[5], ARGV[i])
    if slots then limits.let_go(ARGV[i]) end
  end
  i = i + 2
end
local ended = {}
while ARGV[i] do
  local mine = redis.call('HDEL', KEYS[1], ARGV[i]) == 1 or redis.call('EXISTS', ARGV[4] .. ARGV[i]) == 0
  redis.call('ZREM', KEYS[2], ARGV[i])
  if slots then limits.let_go(ARGV[i]) end
  ended[#ended + 1] = ARGV[i]
  if not mine then refused = refused + 1 end
  if ARGV[i + 1] ~= '' then journal(mine and 'e' or 'x', ARGV[i + 1]) end
  if mine and ARGV[i + 2] ~= '' then
    redis.call('SET', ARGV[i + 2], ARGV[i + 3], 'EX', ARGV[3])
    redis.call('PUBLISH', ARGV[i + 2], ARGV[i + 3])
  end
  i = i + 4
end
if #ended > 0 then redis.call('HDEL', KEYS[5], unpack(ended)) end
if #fields > 0 then redis.call('XADD', KEYS[3], '*', unpack(fields)) end
redis.call('SET', KEYS[4], ARGV[1], 'EX', ARGV[2])
return {refused, last < number - 1 and 1 or 0}
