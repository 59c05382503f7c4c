-- Put one message into its queue, wake an idle worker, and journal the submission if it has no row yet, in one step.
-- KEYS: 1 queue list   2 bell of the queue (list of at most one token)   3 journal (stream)
-- ARGV: 1 message, or '' when only the journal is written   2 journal entry, or ''
-- Reply: 1
if ARGV[1] ~= '' then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('LPUSH', KEYS[2], '1')
    redis.call('EXPIRE', KEYS[2], 60)
  end
end
if ARGV[2] ~= '' then redis.call('XADD', KEYS[3], '*', 'e1', ARGV[2]) end
return 1
