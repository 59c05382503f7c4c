"""The names of what lies in Redis; the queue lists and leases are those of stock kombu."""

from __future__ import annotations

LEASES = "unacked"
LEASE_TIMES = "unacked_index"
STARTS = "jp:starts"
WORKERS = "jp:workers"
WATCH = "jp:watch"
#: What workers are asked to do, by node (hash); the field without a name tells that the others are known.
DUTIES = "jp:duties"
#: That Redis was not emptied since somebody looked.
CANARY = "jp:canary"
COUNTS = "jp:counts"
#: What is paused (hash: "queue:" or "type:" and a name -> why).
PAUSED = "jp:paused"
#: The lowest attempt whose message counts, by task id, for jobs that may have been published twice or are not to run;
#: and for how many seconds that is remembered.
FENCES = "jp:fences"
#: How far a fence is above an attempt of which no message is to be handed out: as a worker has it already, as it is
#: held back, or as a run of it is void as well. A run that is held back is to stop at its next checkpoint.
LEASED, HELD, VOID = 0.5, 0.75, 1.0
FENCE_SECONDS = 86_400
#: Before the tag of a lease: that it was taken away, and how long that is remembered, in seconds.
TAKEN = "jp:taken:"
TAKEN_SECONDS = 86_400
#: The run of Redis that knows all leases; or another one, and since when its knowing them is awaited.
WHOLE = "jp:whole"
#: Limits, the slots and tokens that they have given, and where messages wait for them; limits.lua tells of each.
LIMITS = "jp:limits"
SLOTS = "jp:slots"
USED = "jp:used"
TOKENS = "jp:tokens"
TIMED = "jp:timed"
LANE_LISTS = "jp:lane_lists"
#: How much a name has done of late, by name; pace.lua tells of it.
PACES = "jp:pace:"
JOURNAL = "jp:journal"
CONTROLLER = "jp:controller"
SEPARATOR = "\x06\x16"

#: The lists of a queue: priorities 0 and 1 share the plain one, so that stock publishers are ordinary.
PRIORITY_STEPS = [0, 2, 3, 4, 5]


def queue_list(queue: str, priority: int) -> str:
    """Name the list that holds a queue's messages of one priority.

    :param priority: 1 to 5, 5 the most urgent; 0 is what stock publishers send.
    """
    return f"{queue}{SEPARATOR}{min(priority, 5)}" if priority > 1 else queue


def queue_of(queue_list: str) -> str:
    """Name the queue that a list belongs to."""
    return queue_list.partition(SEPARATOR)[0]


def lanes(queue_list: str) -> str:
    """Name the set of a list's lanes, by when their first messages were enqueued."""
    return f"jp:lanes:{queue_list}"


def ready(queue_list: str) -> str:
    """Name the set of a list's lanes that may go on, by their turns."""
    return f"jp:ready:{queue_list}"


def lane(queue_list: str, lane: str) -> str:
    """Name the list of the messages that wait in a lane."""
    return f"jp:lane:{queue_list}\x1f{lane}"


def blocked(limit: str) -> str:
    """Name the set of the lanes that wait for a slot of a limit."""
    return f"jp:blocked:{limit}"


def bell(queue: str) -> str:
    """Name the list whose single token wakes a worker that waits for a queue."""
    return f"jp:bell:{queue}"


def last_commit(node: str) -> str:
    """Name the key that remembers a worker's last commit."""
    return f"jp:commit:{node}"


def pushed(name: str) -> str:
    """Name the key that remembers the last push of a process that submits without rows."""
    return f"jp:pushed:{name}"


def result(task_id: str) -> str:
    """Name the key, and the channel, of a fresh result."""
    return f"celery-task-meta-{task_id}"
