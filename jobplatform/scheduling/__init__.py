"""When jobs run by themselves: recurrences, and the beat that turns them into jobs."""
