"""What a worker has left, and how late its event loop comes."""

from __future__ import annotations

from pathlib import Path

from jobplatform.journal.deeds import Deeds
from jobplatform.journal.room import Room, memory_groups
from jobplatform.transport.lateness import Lateness

MIB = 1024 * 1024


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def version_two(root: Path) -> None:
    write(root, proc__self__cgroup="0::/pod/app\n")
    group = "sys__fs__cgroup__pod__app__memory_dot_"
    write(root, **{f"{group}max": "max\n", f"{group}current": "1\n"})
    group = "sys__fs__cgroup__pod__memory_dot_"
    limits = {"max": f"{512 * MIB}\n", "current": f"{400 * MIB}\n", "stat": f"anon 5\ninactive_file {100 * MIB}\n"}
    write(root, **{f"{group}{name}": text for name, text in limits.items()})


def test_the_limit_of_a_group_above_counts_and_cached_files_are_free(tmp_path: Path) -> None:
    version_two(tmp_path)
    (group,) = memory_groups(tmp_path)
    assert group.limit == 512 * MIB
    said = Room(0, lambda: 0.0, tmp_path)(300 * MIB)
    assert (said["memory_limit"], said["memory_left"]) == (512 * MIB, 212 * MIB)


def test_the_nearest_limit_counts_and_without_any_nothing_is_said(tmp_path: Path) -> None:
    assert "memory_left" not in Room(0, lambda: 0.0, tmp_path)(5)
    version_two(tmp_path)
    assert Room(400 * MIB, lambda: 0.0, tmp_path)(300 * MIB)["memory_left"] == 100 * MIB


def test_a_group_of_version_one_is_read_and_one_without_a_limit_is_none(tmp_path: Path) -> None:
    write(tmp_path, proc__self__cgroup="12:cpu,cpuacct:/x\n4:memory:/x\n")
    group = "sys__fs__cgroup__memory__x__memory_dot_"
    write(tmp_path, **{f"{group}usage_in_bytes": "10", f"{group}stat": "total_inactive_file 4"})
    write(tmp_path, **{f"{group}limit_in_bytes": "9223372036854771712"})
    assert memory_groups(tmp_path) == []
    write(tmp_path, **{f"{group}limit_in_bytes": "100"})
    (found,) = memory_groups(tmp_path)
    assert found.left() == 94


def test_what_changes_slowly_is_read_twice_a_minute(tmp_path: Path) -> None:
    now = [0.0]
    room = Room(0, lambda: now[0], tmp_path)
    assert room(1)["open_files"] > 0
    version_two(tmp_path)
    now[0] = 29.0
    assert "memory_left" not in room(1)
    now[0] = 31.0
    assert "memory_left" in room(1)


def test_a_loop_that_hangs_is_seen_from_outside_and_the_worst_wait_is_told_once() -> None:
    now = [0.0]
    lateness = Lateness(1.0, lambda: now[0])
    assert lateness.take() is None
    lateness.begin()
    now[0] = 1.25
    lateness.tick()
    now[0] = 2.25
    lateness.tick()
    assert lateness.take() == 0.25
    assert lateness.take() == 0.0
    now[0] = 13.25
    assert lateness.take() == 10.0
    now[0] = 18.25
    assert lateness.take() == 15.0
    lateness.end()
    assert lateness.take() is None


def test_deeds_are_counted_by_queue_and_job_type() -> None:
    deeds = Deeds()
    for failed in (False, True):
        deeds.start("mail", "shop.mail")
        deeds.end("mail", "shop.mail", failed)
    deeds.start("celery", "shop.mail")
    assert deeds.told() == [("mail", "shop.mail", 2, 2, 1), ("celery", "shop.mail", 1, 0, 0)]
    for number in range(300):
        deeds.start("celery", f"made.{number}")
    assert sum(started for *_, started, _, _ in deeds.told()) == 303
    assert len(deeds.told()) <= 203


def test_a_machine_that_is_short_of_memory_is_a_limit_as_well(tmp_path: Path) -> None:
    write(tmp_path, proc__meminfo=f"MemTotal: {2048 * 1024} kB\nMemAvailable: {150 * 1024} kB\nHugePages_Total: 0\n")
    said = Room(0, lambda: 0.0, tmp_path)(300 * MIB)
    assert (said["memory_limit"], said["memory_left"]) == (2048 * MIB, 150 * MIB)
    version_two(tmp_path)
    assert Room(400 * MIB, lambda: 0.0, tmp_path)(300 * MIB)["memory_left"] == 100 * MIB
