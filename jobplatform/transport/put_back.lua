-- Put messages before what waits already.
-- KEYS: 1 queue list
-- ARGV: messages; the last of them is to be handed out first
-- Reply: how many
for i = 1, #ARGV do
  local message = ARGV[i]
  if limits.on then message = string.gsub(message, '"jp_at":', '"jp_first":1,"jp_at":', 1) end
  limits.put_back(KEYS[1], message)
end
return #ARGV
