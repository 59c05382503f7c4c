-- Limits, fair order and lanes, for the scripts that take and let go of leases: this text is put before theirs.
-- A message that a limit holds back waits in a lane; so does each of a queue that is served in fair order. A lane is a list
-- of messages that wait for the same: of one queue list, one tenant, one job type and one key. A lane that is not empty is
-- ready, or blocked by a limit without a free slot, or waits for a time at which there are tokens.
-- jp:limits         hash: what is limited: "queue:NAME", "type:NAME", "key:NAME" or "key:PREFIX:*" -> slots, tokens a second
--                   and the most tokens, '-' for none; "fair:QUEUE" -> 1; "weight:QUEUE:TENANT" -> weight; "age:QUEUE" ->
--                   seconds for one step of priority; "stale" -> seconds; '' -> the run of Redis that knows all leases
-- jp:slots          hash: tag of a lease -> units and the names of the limits whose slots it holds, split by \31
-- jp:used           hash: name of a limit -> units that are held
-- jp:tokens         hash: name of a limit -> how many tokens there were, and when
-- jp:lane_lists     set: queue lists that have had lanes
-- jp:lanes:LIST     zset: lane -> when its first message was enqueued
-- jp:ready:LIST     zset: lane -> its turn
-- jp:lane:PLACE     list: messages; a place is a queue list and a lane, split by \31
-- jp:blocked:NAME   zset: place -> how urgent it is, and since when it is blocked by the limit
-- jp:timed          zset: place -> when there are tokens
-- jp:turns:QUEUE    hash: tenant -> units that it was given, by its weight; '' -> the turn that was served last
-- What a script has read it does not read again: rules, units in use, limits that block no lane, and the last message.
local limits = {on = redis.call('EXISTS', 'jp:limits') == 1, rules = {}, uses = {}, unblocking = {}, read = {}}

function limits.rule(name)
  if limits.rules[name] == nil then limits.rules[name] = redis.call('HGET', 'jp:limits', name) end
  return limits.rules[name]
end

-- What a header holds; a plain search for its name takes a tenth of the time that a pattern takes.
function limits.header(message, name, pattern)
  local from, to = string.find(message, name, 1, true)
  return from and string.match(message, pattern, to + 1)
end

function limits.key_of(message)
  if limits.read.message ~= message then
    limits.read = {
      message = message, key = limits.header(message, '"jp_limit"', '^: ?"([^"]+)"'),
      task = limits.header(message, '"task"', '^: ?"([^"]+)"') or '',
    }
  end
  return limits.read.key
end

function limits.units_of(message)
  return tonumber(limits.header(message, '"jp_units"', '^: ?(%d+)') or '1')
end

function limits.type_of(message)
  limits.key_of(message)
  return limits.read.task
end

function limits.used(name)
  if not limits.uses[name] then limits.uses[name] = tonumber(redis.call('HGET', 'jp:used', name) or '0') end
  return limits.uses[name]
end

function limits.use(name, units)
  limits.uses[name] = redis.call('HINCRBY', 'jp:used', name, units)
  if limits.uses[name] <= 0 then redis.call('HDEL', 'jp:used', name) end
end

function limits.queue_of(list)
  local cut = string.find(list, '\6\22', 1, true)
  return cut and string.sub(list, 1, cut - 1) or list
end

-- The limits that a message is subject to.
function limits.of(message, queue)
  local found, key = {}, limits.key_of(message)
  local function add(name, rule)
    if not rule then return end
    local slots, rate, burst = string.match(rule, '^(%S+) (%S+) (%S+)$')
    found[#found + 1] = {name = name, slots = tonumber(slots), rate = tonumber(rate), burst = tonumber(burst)}
  end
  add('queue:' .. queue, limits.rule('queue:' .. queue))
  local task = 'type:' .. limits.type_of(message)
  add(task, limits.rule(task))
  if key then
    local shared = string.match(key, '^(.*:)')
    add('key:' .. key, limits.rule('key:' .. key) or shared and limits.rule('key:' .. shared .. '*'))
  end
  return found
end

function limits.has_slot(limit, units)
  if not limit.slots then return true end
  local used = limits.used(limit.name)
  -- What needs more than there is runs alone.
  return used == 0 or used + units <= limit.slots
end

-- Whether so much is used that a job which waits in a worker shall hold none of it idly.
function limits.is_scarce(limit, units)
  return limit.slots and limits.used(limit.name) + units > limit.slots / 4
end

-- nil when there are tokens, or the time at which there will be.
function limits.tokens_at(limit, units, now)
  if not limit.rate then return nil end
  local kept, at = string.match(redis.call('HGET', 'jp:tokens', limit.name) or '', '^(%S+) (%S+)$')
  limit.tokens = kept and math.min(limit.burst, kept + (now - at) * limit.rate) or limit.burst
  local needed = math.min(units, limit.burst)
  if limit.tokens + 1e-6 < needed then return now + (needed - limit.tokens) / limit.rate end
end

-- nil when nothing holds a message back, or what does: the limit, and the time at which it has tokens if it lacks them.
function limits.obstacle(found, units, now)
  for _, limit in ipairs(found) do
    if not limits.has_slot(limit, units) then return {limit = limit} end
  end
  for _, limit in ipairs(found) do
    local at = limits.tokens_at(limit, units, now)
    if at then return {limit = limit, at = at} end
  end
end

-- Let a lease hold slots. The caller writes what is returned, field and value of jp:slots; nil when there are none to hold.
function limits.hold(tag, found, units)
  local held = tostring(units)
  for _, limit in ipairs(found) do
    if limit.slots then
      limits.use(limit.name, units)
      held = held .. '\31' .. limit.name
    end
  end
  if held ~= tostring(units) then return {tag, held} end
end

function limits.spend(found, units, now)
  for _, limit in ipairs(found) do
    if limit.rate then
      redis.call('HSET', 'jp:tokens', limit.name, string.format('%.6f %.6f', limit.tokens - units, now))
    end
  end
end

function limits.ring(queue)
  local bell = 'jp:bell:' .. queue
  if redis.call('EXISTS', bell) == 0 then
    redis.call('LPUSH', bell, '1')
    redis.call('EXPIRE', bell, 60)
  end
end

function limits.head_time(place)
  local head = redis.call('LINDEX', 'jp:lane:' .. place, -1)
  return head and (string.match(head, '"jp_at": ?([0-9.]+)') or '0')
end

-- Whether the next message of a lane goes before all others, as its job had begun on a worker that died.
function limits.is_first(place)
  local head = redis.call('LINDEX', 'jp:lane:' .. place, -1)
  return head and string.find(head, '"jp_first":1', 1, true) ~= nil
end

function limits.urgency_of(list)
  return tonumber(string.match(list, '\6\22(%d)$') or '1')
end

-- How urgent a lane is that is blocked by a limit, and since when.
function limits.blocked_score(list, place, now)
  return string.format('%.4f', (5 - limits.urgency_of(list)) * 1e11 + (limits.is_first(place) and 0 or now))
end

-- The turn of a lane: in fair order what its tenant was given so far, otherwise when its first message was enqueued.
function limits.turn_of(list, lane)
  if limits.is_first(list .. '\31' .. lane) then return '0' end
  local queue = limits.queue_of(list)
  if not limits.rule('fair:' .. queue) then return limits.head_time(list .. '\31' .. lane) end
  local turns = 'jp:turns:' .. queue
  local own, last = unpack(redis.call('HMGET', turns, string.match(lane, '^(.-)\30'), ''))
  return string.format('%.6f', math.max(tonumber(own or '0'), tonumber(last or '0')))
end

function limits.lane_of(message, queue)
  local task = limits.type_of(message)
  local tenant = limits.rule('fair:' .. queue) and limits.header(message, '"jp_tenant"', '^: ?"([^"]*)"') or ''
  return tenant .. '\30' .. (limits.rule('type:' .. task) and task or '') .. '\30' .. (limits.key_of(message) or '')
end

-- Let a lane go before all others, wherever it waits.
function limits.hasten(list, lane, message)
  local place = list .. '\31' .. lane
  redis.call('ZADD', 'jp:ready:' .. list, 'XX', '0', lane)
  for _, limit in ipairs(limits.of(message, limits.queue_of(list))) do
    redis.call('ZADD', 'jp:blocked:' .. limit.name, 'XX', limits.blocked_score(list, place, 0), place)
  end
end

-- Put a message that was handed out before where it is the next: at the head of its lane if others wait there, else of its
-- list.
function limits.put_back(list, message)
  redis.call('HINCRBY', 'jp:counts', 'back:' .. limits.queue_of(list), 1)
  if limits.on then
    local lane = limits.lane_of(message, limits.queue_of(list))
    local place = list .. '\31' .. lane
    if redis.call('EXISTS', 'jp:lane:' .. place) == 1 then
      redis.call('RPUSH', 'jp:lane:' .. place, message)
      redis.call('ZADD', 'jp:lanes:' .. list, limits.head_time(place), lane)
      if limits.is_first(place) then limits.hasten(list, lane, message) end
      return
    end
  end
  redis.call('RPUSH', list, message)
end

-- Make a lane ready, and wake somebody.
function limits.open(place)
  local list, lane = string.match(place, '^(.-)\31(.*)$')
  if redis.call('EXISTS', 'jp:lane:' .. place) == 0 then return end
  redis.call('ZADD', 'jp:ready:' .. list, limits.turn_of(list, lane), lane)
  limits.ring(limits.queue_of(list))
end

-- Let lanes go on that a limit has blocked. It is more than one, as their turns tell which of them is to have what is free,
-- and one may wait for something else as well.
function limits.wake(name)
  if limits.unblocking[name] then return end
  local found = redis.call('ZPOPMIN', 'jp:blocked:' .. name, 16)
  limits.unblocking[name] = not found[1]
  for i = 1, #found, 2 do limits.open(found[i]) end
end

-- Free the slots of a lease that has ended, however it did.
function limits.let_go(tag)
  local held = redis.call('HGET', 'jp:slots', tag)
  if not held then return end
  redis.call('HDEL', 'jp:slots', tag)
  local units
  for part in string.gmatch(held, '[^\31]+') do
    if not units then
      units = tonumber(part)
    else
      limits.use(part, -units)
      limits.wake(part)
      local queue = string.match(part, '^queue:(.*)$')
      if queue then limits.ring(queue) end
    end
  end
end

-- Take back the slots of a lease that Redis had forgotten: its job may be running, so there is no question of room.
function limits.restore(tag, lease)
  local message, queue = string.match(lease, '^%[(.*),"","([^"]*)"%]$')
  if limits.on and message and redis.call('HEXISTS', 'jp:slots', tag) == 0 then
    local held = limits.hold(tag, limits.of(message, queue), limits.units_of(message))
    if held then redis.call('HSET', 'jp:slots', unpack(held)) end
  end
end

