-- How messages are taken where there are limits, fair order or ageing; put before the script that takes them.

-- Messages that one script moves from a list into lanes or takes, so that it never runs for long.
local MOST_MOVES = 1000
-- Lanes that one script passes over because its worker may hold no more slots.
local MOST_PASSED = 50

-- wait: in how many seconds it is known who holds slots; busy: whether the worker may hold no more of them until a job of its
-- own has ended; held: the slots of the leases that are given, field and value of jp:slots in turns.
local lanes = {wait = nil, busy = false, in_use = {}, lists = {}, held = {}}

-- Whether Redis knows all leases: after a start of Redis every worker that lives tells again what it holds, and until then
-- slots may look free that are not.
function lanes.are_slots_known(now)
  local info = redis.call('INFO', 'server')
  local run = string.match(info, 'run_id:(%w+)')
  if limits.rule('') == run then return true end
  local up = tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))
  if up <= tonumber(limits.rule('stale') or '15') then
    for _, said in ipairs(redis.call('HVALS', 'jp:workers')) do
      local known = tonumber(string.match(said, '^%S+ (%S+)') or '0')
      if known < now - up and not string.find(said, '"gone": ?true') then return false end
    end
  end
  redis.call('HSET', 'jp:limits', '', run)
  return true
end

-- Whether something waits in the lane that a message belongs to.
function lanes.is_in_use(list, queue, message)
  if lanes.lists[list] == nil then lanes.lists[list] = redis.call('EXISTS', 'jp:lanes:' .. list) == 1 end
  if not lanes.lists[list] then return false end
  local place = list .. '\31' .. limits.lane_of(message, queue)
  if lanes.in_use[place] == nil then lanes.in_use[place] = redis.call('EXISTS', 'jp:lane:' .. place) == 1 end
  return lanes.in_use[place]
end

-- Put a message at the end of its lane; one that was empty is ready, unless something is in its way.
function lanes.append(list, lane, message, obstacle, now)
  local place = list .. '\31' .. lane
  lanes.in_use[place], lanes.lists[list] = true, true
  if redis.call('LPUSH', 'jp:lane:' .. place, message) > 1 then return end
  redis.call('SADD', 'jp:lane_lists', list)
  redis.call('ZADD', 'jp:lanes:' .. list, limits.head_time(place), lane)
  if obstacle then lanes.block(list, lane, obstacle, now) else
    redis.call('ZADD', 'jp:ready:' .. list, limits.turn_of(list, lane), lane)
  end
end

function lanes.block(list, lane, obstacle, now)
  local place = list .. '\31' .. lane
  redis.call('ZREM', 'jp:ready:' .. list, lane)
  if obstacle.at then
    redis.call('ZADD', 'jp:timed', string.format('%.6f', obstacle.at), place)
  else
    redis.call('ZADD', 'jp:blocked:' .. obstacle.limit.name, limits.blocked_score(list, place, now), place)
    limits.unblocking[obstacle.limit.name] = false
  end
end

-- Let the lane's next message wait for its turn, or forget the lane when it is empty.
function lanes.advance(list, lane)
  local place = list .. '\31' .. lane
  local at = limits.head_time(place)
  if at then
    redis.call('ZADD', 'jp:lanes:' .. list, at, lane)
    redis.call('ZADD', 'jp:ready:' .. list, limits.turn_of(list, lane), lane)
  else
    redis.call('ZREM', 'jp:lanes:' .. list, lane)
    redis.call('ZREM', 'jp:ready:' .. list, lane)
  end
end

-- The units that the tenant of a lane was given, by its weight.
function lanes.given(queue, lane)
  return tonumber(redis.call('HGET', 'jp:turns:' .. queue, string.match(lane, '^(.-)\30')) or '0')
end

-- Count what a tenant is given.
function lanes.charge(queue, lane, turn, units)
  local turns, tenant = 'jp:turns:' .. queue, string.match(lane, '^(.-)\30')
  local own, last = unpack(redis.call('HMGET', turns, tenant, ''))
  -- What goes before all others has no turn of its own.
  local start = math.max(turn, tonumber(own or '0'))
  last = math.max(turn, tonumber(last or '0'))
  local weight = tonumber(limits.rule('weight:' .. queue .. ':' .. tenant) or '1')
  redis.call('HSET', turns, '', string.format('%.6f', last), tenant, string.format('%.6f', start + units / weight))
  redis.call('EXPIRE', turns, 86400)
end

-- Let lanes go on whose time has come.
function lanes.ripen(now)
  local due = redis.call('ZRANGEBYSCORE', 'jp:timed', '-inf', string.format('%.6f', now), 'LIMIT', 0, 100)
  for _, place in ipairs(due) do
    redis.call('ZREM', 'jp:timed', place)
    limits.open(place)
  end
end

-- What a list has become by waiting: one step more urgent each so many seconds, up to the most urgent, among which the one
-- that has waited for longest comes first.
function lanes.aged(list, urgency, seconds, now)
  local head = redis.call('LINDEX', list, -1)
  local at = tonumber(head and string.match(head, '"jp_at": ?([0-9.]+)') or now)
  local lane = redis.call('ZRANGE', 'jp:lanes:' .. list, 0, 0, 'WITHSCORES')
  at = math.min(at, tonumber(lane[2] or now))
  return math.min(5, urgency + math.floor(math.max(0, now - at) / seconds)), at
end

-- The lists in the order in which they are served: as they are given, unless a queue ages.
function lanes.order(names, first, now)
  local order, ages = {}, false
  for k = first, #names do
    local each = {name = names[k], place = k, at = now, urgency = limits.urgency_of(names[k])}
    local seconds = limits.on and limits.rule('age:' .. limits.queue_of(names[k]))
    if seconds then
      ages = true
      each.urgency, each.at = lanes.aged(names[k], each.urgency, tonumber(seconds), now)
    end
    order[#order + 1] = each
  end
  if ages then
    table.sort(order, function(a, b)
      if a.urgency ~= b.urgency then return a.urgency > b.urgency end
      if a.at ~= b.at then return a.at < b.at end
      return a.place < b.place
    end)
  end
  return order
end

-- That there are limits, and in how many seconds it is worth asking again when nothing was found; nil when there are none any
-- more.
function lanes.marker(now)
  if limits.rule('off') then return nil end
  local first = redis.call('ZRANGE', 'jp:timed', 0, 0, 'WITHSCORES')
  local wait = math.min(lanes.wait or 60, first[2] and math.max(0.001, first[2] - now) or 60)
  return string.format('%s %.3f', lanes.busy and 'busy' or 'limited', wait)
end

-- The function that serves a list: give(list, queue, message) leases a message and returns the tag of the lease, counts(message)
-- tells whether it is to be handed out; asked says how many are wanted, and how many of them may hold slots.
function lanes.server(give, counts, asked)
  local now, left, slots, moves = asked.now, asked.wanted, asked.slots, MOST_MOVES
  local known = lanes.are_slots_known(now)
  if not known then
    slots = 0
    lanes.wait = 0.05
  end
  lanes.ripen(now)

  local function take(list, queue, message, found, units)
    local scarce = false
    for _, limit in ipairs(found) do scarce = scarce or limits.is_scarce(limit, units) end
    local tag = give(list, queue, message)
    left = left - 1
    limits.spend(found, units, now)
    local held = limits.hold(tag, found, units)
    if held then
      lanes.held[#lanes.held + 1] = held[1]
      lanes.held[#lanes.held + 1] = held[2]
    end
    if scarce then slots = slots - 1 end
  end

  local function may_hold(found, units)
    if slots > 0 then return true end
    for _, limit in ipairs(found) do
      if limits.is_scarce(limit, units) then return false end
    end
    return true
  end

  -- What a lane that could not go on has left free may be of use to another.
  local function wake_others(found, units, but)
    for _, limit in ipairs(found) do
      if limit.slots and limit.name ~= but and limits.has_slot(limit, units) then limits.wake(limit.name) end
    end
  end

  local function serve_lane(list, queue, lane, turn, passed)
    local key = 'jp:lane:' .. list .. '\31' .. lane
    local fair = limits.rule('fair:' .. queue)
    local own = fair and lanes.given(queue, lane)
    -- Another lane of the tenant may have been served meanwhile.
    if own and own > turn + 1e-6 and not limits.is_first(list .. '\31' .. lane) then
      redis.call('ZADD', 'jp:ready:' .. list, string.format('%.6f', own), lane)
      return
    end
    local message = redis.call('LINDEX', key, -1)
    if message and counts(message) then
      local found, units = limits.of(message, queue), limits.units_of(message)
      local obstacle = limits.obstacle(found, units, now)
      if obstacle then
        lanes.block(list, lane, obstacle, now)
        wake_others(found, units, obstacle.limit.name)
        return
      elseif not may_hold(found, units) then
        redis.call('ZREM', 'jp:ready:' .. list, lane)
        passed[#passed + 1] = string.format('%.6f', turn)
        passed[#passed + 1] = lane
        return
      end
      take(list, queue, message, found, units)
      if fair then lanes.charge(queue, lane, turn, units) end
      redis.call('RPOP', key)
      wake_others(found, 1, nil)
    elseif message then
      redis.call('RPOP', key)
    end
    lanes.advance(list, lane)
  end

  local function serve_lanes(list, queue)
    local passed = {}
    while left > 0 and moves > 0 and #passed < 2 * MOST_PASSED do
      local first = redis.call('ZRANGE', 'jp:ready:' .. list, 0, 0, 'WITHSCORES')
      if not first[1] then break end
      moves = moves - 1
      serve_lane(list, queue, first[1], tonumber(first[2]), passed)
    end
    if #passed > 0 then
      redis.call('ZADD', 'jp:ready:' .. list, unpack(passed))
      lanes.busy = known
    end
  end

  local function sort_into_lanes(list, queue)
    while moves > 0 do
      local messages = redis.call('RPOP', list, math.min(moves, 100))
      if not messages then return end
      moves = moves - #messages
      for _, message in ipairs(messages) do
        if counts(message) then lanes.append(list, limits.lane_of(message, queue), message, nil, now) end
      end
    end
  end

  local function sort(list, queue, message)
    local found, units = limits.of(message, queue), limits.units_of(message)
    local obstacle = limits.obstacle(found, units, now)
    if found[1] and (obstacle or not may_hold(found, units) or lanes.is_in_use(list, queue, message)) then
      lanes.append(list, limits.lane_of(message, queue), message, obstacle, now)
      if not obstacle then lanes.busy = known end
    else
      take(list, queue, message, found, units)
    end
  end

  local function serve_list(list, queue)
    while left > 0 and moves > 0 do
      local messages = redis.call('RPOP', list, math.min(left, moves))
      if not messages then return end
      moves = moves - #messages
      for _, message in ipairs(messages) do
        if counts(message) then sort(list, queue, message) end
      end
    end
  end

  return function(list, queue)
    local whole = limits.rule('queue:' .. queue) and limits.of('', queue)
    if left <= 0 or whole and not limits.has_slot(whole[1], 1) then return end
    if limits.rule('fair:' .. queue) then sort_into_lanes(list, queue) end
    serve_lanes(list, queue)
    if not limits.rule('fair:' .. queue) then serve_list(list, queue) end
    if moves <= 0 and redis.call('EXISTS', list) == 1 then limits.ring(queue) end
  end
end

