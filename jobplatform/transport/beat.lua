-- Tell that a worker lives and what it does, and renew its leases, in one step.
-- KEYS: 1 leases (hash)   2 lease times (zset)
--       3 workers (hash: node -> when it beat, until when Redis knows all that it did and holds, and report); seconds since
--       the epoch, and 0 for a Redis that has forgotten something
--       4 this worker's last commit (string)   5 fences (hash: task id -> the lowest attempt whose message counts)
--       6 what is paused (hash: "queue:" or "type:" and a name -> why)
--       7 duties (hash: node -> what the worker is asked to do)
-- ARGV: 1 node   2 report (JSON)   3 prefix of the keys that mark taken leases   4 number of its last commit
--       5 for how many seconds its news have waited to be written   6.. tags of the leases it holds
-- Reply: whether Redis forgot the worker's last commit (0 or 1), how many leases were taken from it, how many stand for
--        jobs that are not to run any more, how many for jobs that are not to begin, and what the worker is to do, '' when
--        Redis does not know; then the tags of those, of these, of the last, and of leases that Redis forgot.
-- Written first so that a Redis that is full lets the rest pass: it takes no more memory than the beat before.
redis.call('HDEL', KEYS[1], '')
local clock = redis.call('TIME')
local now = clock[1] .. '.' .. string.format('%06d', clock[2])
local forgot = tonumber(redis.call('GET', KEYS[4]) or '0') < tonumber(ARGV[4]) and 1 or 0
local fenced = redis.call('EXISTS', KEYS[5]) == 1
local paused = redis.call('EXISTS', KEYS[6]) == 1
local function fence_of(lease)
  if not fenced then return 0 end
  local fence = tonumber(redis.call('HGET', KEYS[5], string.match(lease, '"correlation_id": ?"([^"]+)"') or '') or '0')
  return fence - tonumber(string.match(lease, '"jp_attempt": ?(%d+)') or '1')
end
local function is_paused(scope, name)
  return paused and name and redis.call('HEXISTS', KEYS[6], scope .. ':' .. name) == 1
end
local function is_held(lease)
  return is_paused('queue', string.match(lease, ',"","([^"]*)"%]$'))
    or (is_paused('type', string.match(lease, '"task": ?"([^"]+)"')) and not string.find(lease, '"jp_trial":1,', 1, true))
end
local taken, void, held, forgotten = {}, {}, {}, {}
for i = 6, #ARGV do
  local tag = ARGV[i]
  local lease = (fenced or paused) and redis.call('HGET', KEYS[1], tag) or redis.call('HEXISTS', KEYS[1], tag) == 1
  if lease then
    redis.call('ZADD', KEYS[2], now, tag)
    if lease ~= true then
      local fence = fence_of(lease)
      if fence >= 1 then
        void[#void + 1] = tag
      elseif fence >= 0.75 or is_held(lease) then
        held[#held + 1] = tag
      end
    end
  elseif redis.call('EXISTS', ARGV[3] .. tag) == 1 then
    taken[#taken + 1] = tag
  else
    forgotten[#forgotten + 1] = tag
  end
end
local known = 0
if forgot == 0 and #forgotten == 0 then known = tonumber(now) - tonumber(ARGV[5]) end
redis.call('HSET', KEYS[3], ARGV[1], now .. string.format(' %.6f ', known) .. ARGV[2])
local duty = redis.call('HGET', KEYS[7], ARGV[1]) or redis.call('EXISTS', KEYS[7]) == 1 and 'work' or ''
local reply = {forgot, #taken, #void, #held, duty}
for _, tags in ipairs({taken, void, held, forgotten}) do
  for _, tag in ipairs(tags) do reply[#reply + 1] = tag end
end
return reply
