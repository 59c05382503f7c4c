-- Count the slots that are held anew, from the leases, and let every lane see whether it can go on.
-- KEYS: 1 leases (hash)
-- ARGV: 1 whether to let the lanes go on though every slot was accounted for (0 or 1), as what limits say has changed
-- Reply: how many leases held no slot that they should, or the other way round.
local before = {}
local slots = redis.call('HGETALL', 'jp:slots')
for i = 1, #slots, 2 do before[slots[i]] = slots[i + 1] end
redis.call('DEL', 'jp:slots', 'jp:used')
local leases = redis.call('HGETALL', KEYS[1])
for i = 1, #leases, 2 do limits.restore(leases[i], leases[i + 1]) end
local wrong = 0
slots = redis.call('HGETALL', 'jp:slots')
for i = 1, #slots, 2 do
  if before[slots[i]] ~= slots[i + 1] then wrong = wrong + 1 end
  before[slots[i]] = nil
end
for _ in pairs(before) do wrong = wrong + 1 end
if wrong > 0 or ARGV[1] == '1' then
  for _, list in ipairs(redis.call('SMEMBERS', 'jp:lane_lists')) do
    for _, lane in ipairs(redis.call('ZRANGE', 'jp:lanes:' .. list, 0, -1)) do limits.open(list .. '\31' .. lane) end
  end
end
return wrong
