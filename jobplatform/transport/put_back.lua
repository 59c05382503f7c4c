-- Put messages before what waits already.
-- KEYS: 1 queue list
-- ARGV: messages; the last of them is to be handed out first
-- Reply: how many
for i = 1, #ARGV do limits.put_back(KEYS[1], ARGV[i]) end
return #ARGV
