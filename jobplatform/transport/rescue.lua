-- Take leases away from workers that have stopped renewing them: what was started is journalled as lost, what was not
-- goes back to the head of its list.
-- KEYS: 1 leases (hash)   2 lease times (zset)   3 journal (stream)   4 starts (hash: tag -> journal entry)
--       5 watch (string: since when, and when last, somebody has looked without a pause)
--       6 workers (hash: node -> when it beat, until when Redis knows all, and report)
--       7 fences (hash: task id -> the lowest attempt whose message counts)
-- ARGV: 1 seconds without renewal after which a lease is taken   2 how many at the most   3 separator between queue and
--       priority   4 prefix of the keys that mark taken leases   5 seconds to keep such a mark
--       6 the longest pause between looks in seconds, or 0 to take without having watched
--       7 the node whose leases are taken, however fresh; '' for those of all that are silent
--       8 what became of that node, which is no failure of its jobs
-- Reply: how many were lost, how many given back, then the tags whose lease is not in our layout; the caller restores
--        those the stock way. Nothing is taken before somebody has watched for as long as a lease lives: after an outage
--        of Redis the leases of workers that live look stale as well.
-- Written first so that a Redis that is full lets the rest pass: what is rescued is held in Redis already.
redis.call('HDEL', KEYS[1], '')
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local stale, pause = tonumber(ARGV[1]), tonumber(ARGV[6])
if pause > 0 then
  local since, last = string.match(redis.call('GET', KEYS[5]) or '', '^([%d.]+) ([%d.]+)$')
  if not last or now - tonumber(last) > pause then since = string.format('%.6f', now) end
  redis.call('SET', KEYS[5], since .. string.format(' %.6f', now))
  if now - tonumber(since) < stale then return {0, 0} end
end
local reply, fields = {0, 0}, {}
local function memory(tag, start)
  local said = redis.call('HGET', KEYS[6], string.match(tag, '^[^:]*'))
  local pid = string.match(start, '"p":(%d+)')
  local rss = said and pid and string.match(said, '"pid": ?' .. pid .. ', ?"rss": ?(%d+)')
  return rss and ',"rss":' .. rss .. ',"read":' .. string.match(said, '^[%d.]+') or ''
end
local tags
if ARGV[7] == '' then
  tags = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - stale, 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[2]))
else
  local held, begins = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'), ARGV[7] .. ':'
  tags = {}
  for i = 1, #held, 2 do
    if string.sub(held[i], 1, #begins) == begins and #tags < 2 * tonumber(ARGV[2]) then
      tags[#tags + 1] = held[i]
      tags[#tags + 1] = held[i + 1]
    end
  end
end
for i = #tags - 1, 1, -2 do  -- each goes to the head of its list, so the oldest goes last
  local tag, renewed = tags[i], tonumber(tags[i + 1])
  local lease = redis.call('HGET', KEYS[1], tag)
  local message, queue
  if lease then message, queue = string.match(lease, '^%[(.*),"","([^"]*)"%]$') end
  if lease and not message then
    reply[#reply + 1] = tag
  else
    local start = redis.call('HGET', KEYS[4], tag)
    if start then
      fields[#fields + 1] = 'e' .. i
      local how = string.format('"silent":%.3f', now - renewed) .. memory(tag, start)
      if ARGV[7] ~= '' then how = '"left":' .. cjson.encode(ARGV[8]) end
      fields[#fields + 1] = string.format('{"v":1,"k":"lost","t":%.6f,', now) .. how .. ',"of":' .. start .. '}'
      reply[1] = reply[1] + 1
    elseif message then
      local priority = tonumber(string.match(message, '"priority": ?(%d)') or '0')
      if priority > 5 then priority = 5 end
      local list = queue
      if priority > 1 then list = queue .. ARGV[3] .. priority end
      limits.put_back(list, message)
      -- It counts again, should it stand behind the fence of a lease that had been forgotten.
      local task = string.match(message, '"correlation_id": ?"([^"]+)"') or ''
      local attempt = tonumber(string.match(message, '"jp_attempt": ?(%d+)') or '1')
      if tonumber(redis.call('HGET', KEYS[7], task) or '0') == attempt + 0.5 then
        redis.call('HSET', KEYS[7], task, attempt)
      end
      reply[2] = reply[2] + 1
    end
    redis.call('HDEL', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
    redis.call('HDEL', KEYS[4], tag)
    redis.call('SET', ARGV[4] .. tag, '1', 'EX', ARGV[5])
    limits.let_go(tag)
  end
end
if #fields > 0 then redis.call('XADD', KEYS[3], '*', unpack(fields)) end
return reply
