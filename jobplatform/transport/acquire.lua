-- Take up to n messages over all queues in the order of the keys, and lease them, in one step.
-- KEYS: 1 leases (hash: tag -> [message, "", queue], the layout that stock kombu restores from)
--       2 lease times (zset: tag -> seconds since the epoch)   3 journal (stream)
--       4 fences (hash: task id -> the lowest attempt whose message counts)   5 counts (hash)
--       6 what is paused (hash: "queue:" or "type:" and a name -> why)
--       7.. queue lists, most urgent first
-- ARGV: 1 n   2 prefix of the lease tags   3 separator between queue and priority in a list's name   4 journal limit
--       5 how many of them may hold slots that are scarce, as jobs that wait in a worker would hold them idly   6 whether the worker knows
--       that there are limits (0 or 1): a Redis that does not has lost them, and hands out nothing until it is told
-- Reply: tag, queue list, message, tag, queue list, message ...; empty when there is nothing; the text FULL when the journal
--        is over its limit, so that no more work is begun than can be recorded. Messages below their fence are dropped
--        and counted. A paused queue hands out nothing. A message whose type is paused, unless it is a trial, is leased with
--        a tag that ends in "p", and is to be parked. Where there are limits, it ends with
--        the word limited, or lost, or busy when the worker may hold no more slots until a job of its own has ended, and in
--        how many seconds it is worth asking again.
if redis.call('XLEN', KEYS[3]) > tonumber(ARGV[4]) then return 'FULL' end
if not limits.on and ARGV[6] == '1' then return {'lost 0.500'} end
local wanted, taken, reply = tonumber(ARGV[1]), 0, {}
local fenced = redis.call('EXISTS', KEYS[4]) == 1
local paused = redis.call('EXISTS', KEYS[6]) == 1
local function counts(message)
  if not fenced then return true end
  local task = string.match(message, '"correlation_id": ?"([^"]+)"')
  local fence = task and tonumber(redis.call('HGET', KEYS[4], task) or '0') or 0
  if fence <= tonumber(string.match(message, '"jp_attempt": ?(%d+)') or '1') then return true end
  redis.call('HINCRBY', KEYS[5], 'dropped', 1)
  return false
end
local function is_paused(scope, name)
  return paused and name and redis.call('HEXISTS', KEYS[6], scope .. ':' .. name) == 1
end
local function queue_of(list)
  local cut = string.find(list, ARGV[3], 1, true)
  return cut and string.sub(list, 1, cut - 1) or list
end
local clock = redis.call('TIME')
local now = clock[1] .. '.' .. string.format('%06d', clock[2])
local times, leases, given = {}, {}, {}
local function give(list, queue, message)
  taken = taken + 1
  given[queue] = (given[queue] or 0) + 1
  local tag = ARGV[2] .. string.format('%03d', taken)
  if is_paused('type', string.match(message, '"task": ?"([^"]+)"')) and not string.find(message, '"jp_trial":1,', 1, true) then
    tag = tag .. 'p'
  end
  times[#times + 1] = now
  times[#times + 1] = tag
  leases[#leases + 1] = tag
  leases[#leases + 1] = '[' .. message .. ',"","' .. queue .. '"]'
  reply[#reply + 1] = tag
  reply[#reply + 1] = list
  reply[#reply + 1] = message
  return tag
end
local function serve(list, queue)
  while taken < wanted do
    local asked = wanted - taken
    local messages = redis.call('RPOP', list, asked)
    if not messages then return end
    for j = 1, #messages do
      if counts(messages[j]) then give(list, queue, messages[j]) end
    end
    if #messages < asked then return end
  end
end
if limits.on then serve = lanes.server(give, counts, {now = tonumber(now), wanted = wanted, slots = tonumber(ARGV[5] or ARGV[1])}) end
for _, list in ipairs(lanes.order(KEYS, 7, tonumber(now))) do
  local queue = queue_of(list.name)
  if not is_paused('queue', queue) then serve(list.name, queue) end
end
if #times > 0 then
  redis.call('ZADD', KEYS[2], unpack(times))
  redis.call('HSET', KEYS[1], unpack(leases))
  for queue, count in pairs(given) do redis.call('HINCRBY', KEYS[5], 'taken:' .. queue, count) end
end
if #lanes.held > 0 then redis.call('HSET', 'jp:slots', unpack(lanes.held)) end
if limits.on then reply[#reply + 1] = lanes.marker(tonumber(now)) end
return reply
