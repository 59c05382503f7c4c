"""All that pages offer to do, each as a short story; whoever adds a button adds it to one of them."""

from __future__ import annotations

import json
from collections.abc import Callable

from dashboard_hand import Hand
from dashboard_site import HOSTILE, add_alert, add_batch, add_bulk, add_model, add_plan, add_quarantined
from processes import eventually

from jobplatform.store import models

Deed = Callable[[Hand], None]
DEEDS: list[Deed] = []


def deed(story: Deed) -> Deed:
    """Let a story be told by every hand."""
    DEEDS.append(story)
    return story


@deed
def jobs_of_a_filter_are_steered(hand: Hand) -> None:
    """All five verbs, over all jobs that match."""
    report, tag = hand.fleet.client.tasks["dashboard_jobs.report"], f"of-{hand.name}"
    for _ in range(2):
        report.apply_async(("steered",), tags=[tag])
    hand.open("/jobs")
    hand.write("Filter jobs", f"tag:{tag}")
    hand.press("Filter")
    done = {"Pause": "paused", "Resume": "resumed", "Move": "moved", "Cancel": "cancelled", "Retry": "replayed"}
    for verb, word in done.items():
        if verb == "Retry":
            # Of those that were cancelled, a filter retries only when it names them.
            hand.write("Filter jobs", f"tag:{tag} state:cancelled")
            hand.press("Filter")
        hand.sees("#jobs", "2 jobs of this page")
        hand.tick("All that match")
        hand.press(verb, {"Move": {"Queue": "slower"}, "Cancel": {"Reason": HOSTILE[0]}}.get(verb, {}))
        hand.told(f"2 jobs {word}.")


@deed
def a_job_is_steered_on_its_own_page(hand: Hand) -> None:
    """Each verb where the state of the job allows it."""
    job = hand.fleet.client.tasks["dashboard_jobs.report"].apply_async((HOSTILE[1],))
    hand.open(f"/jobs/{job.id}")
    for verb, state in (("Pause", "paused"), ("Resume", "pending"), ("Cancel", "cancelled"), ("Retry", "pending")):
        hand.press(verb, {}, "#actions")
        hand.told("1 job")
        hand.sees("#what", state)
    hand.press("Move", {"Priority": "5"}, "#actions")
    hand.told("1 job moved.")
    hand.sees("#facts", "priority 5")


@deed
def a_job_is_submitted(hand: Hand) -> None:
    """What is wrong is said beside its field, and what was written stays."""
    hand.open("/submit")
    hand.follow("dashboard_jobs.greet")
    hand.write("name", HOSTILE[1])
    hand.write("times", "many")
    hand.press("Submit")
    hand.sees(".problem", "it is no integer")
    hand.write("times", "2")
    hand.press("Submit")
    hand.told("Submitted.")


@deed
def what_is_done_to_many_jobs_is_ended(hand: Hand) -> None:
    """It has not begun, so that it ends at once."""
    number = add_bulk(hand.fleet)
    hand.open("/bulk")
    hand.press(f"End bulk action {number}")
    hand.told("It ends before its next page")


@deed
def a_queue_and_a_job_type_are_paused_and_resumed(hand: Hand) -> None:
    """The reason shows, whatever is in it."""
    for name, where in (("celery", "#queues"), ("dashboard_jobs.report", "#types")):
        hand.open("/queues")
        hand.press(f"Pause {name}", {"Reason": f"{hand.name} <b>"}, where)
        hand.told(f"{name} is paused.")
        hand.sees(where, f"{hand.name} <b>")
        hand.press(f"Resume {name}", None, where)
        hand.told(f"{name} goes on.")


@deed
def a_worker_is_asked_all_that_can_be(hand: Hand) -> None:
    """A worker of its own, since it ends by it."""
    hand.fleet.start_worker("-c", "1", "-Q", "nothing", name=f"spare-{hand.name}")
    found = "select name from @workers where name like %(name)s"
    (row,) = eventually(lambda: hand.fleet.rows(found, name=f"spare-{hand.name}@%"), 30)
    hand.open("/workers")
    for duty in ("Cordon", "Uncordon", "Replace", "Drain"):
        hand.press(f"{duty} {row['name']}", {"Reason": HOSTILE[0]})
        hand.told(f"{row['name']} was asked")


@deed
def a_number_of_workers_is_held_and_left_to_the_scaler(hand: Hand) -> None:
    """Whatever the scaler would have."""
    hand.open("/workers")
    hand.write("Hold at", "3")
    hand.write("Reason", HOSTILE[2], "#size")
    hand.press("Set")
    hand.told("There are to be 3")
    hand.write("Hold at", "")
    hand.press("Set")
    hand.told("It is left to the scaler.")


@deed
def a_schedule_is_added_changed_run_and_removed(hand: Hand) -> None:
    """From the list, and from its own page."""
    name = f"night_{hand.name}"
    hand.open("/schedules")
    hand.follow("Add a schedule")
    hand.write("Name", name)
    hand.write("Job type", "dashboard_jobs.greet")
    hand.write("When", "0 3 * * *")
    hand.press("Preview")
    hand.sees("main", "It would fire")
    hand.write("Payload", json.dumps({"args": [], "kwargs": {"name": HOSTILE[0]}}))
    hand.press("Keep it")
    hand.told("Kept.")
    hand.open("/schedules")
    for verb in ("Pause", "Resume"):
        hand.press(f"{verb} {name}", {})
        hand.told(f"{name}: done.")
    hand.press(f"Run {name}", {})
    hand.told("It was fired.")
    hand.open(f"/schedules/{name}")
    hand.press("Run now", {})
    hand.told("It was fired.")
    hand.open(f"/schedules/{name}")
    hand.unfold("Make up for times that are past")
    hand.write("From", "2026-01-01T00:00:00")
    hand.write("Until", "2026-01-03T00:00:00")
    hand.press("Count them", {})
    hand.told("2 jobs were made.")
    for verb in ("Pause", "Resume", "Remove"):
        hand.open(f"/schedules/{name}")
        if verb == "Resume":
            hand.follow("Edit")
            hand.write("When", "0 4 * * *")
            hand.press("Keep it")
            hand.told("Kept.")
        hand.press(verb, {})
        hand.told(f"{name}: done.")


@deed
def an_error_is_looked_after(hand: Hand) -> None:
    """Its dead letters are discarded; it comes back, and they are replayed."""
    fail, kind = hand.fleet.client.tasks["dashboard_jobs.fail"], "torn" if hand.keys else "burnt"

    def failed() -> str:
        """Let a job of the kind fail, and give the fingerprint once its dead letter is there."""
        job = fail.apply_async((kind,))
        found = "select fingerprint from @dead_letter_jobs where job_id = %(job)s and resolved_at is null"
        (row,) = eventually(lambda: hand.fleet.rows(found, job=job.id), 30)
        return str(row["fingerprint"])

    hand.open(f"/dead-letters/{failed()}")
    hand.press("Discard", {"Reason": HOSTILE[0]})
    hand.told("discarded.")
    hand.open(f"/dead-letters/{failed()}")
    for button in ("Note it", "Assign"):
        hand.write("A note", HOSTILE[0])
        hand.press(button)
        hand.told("Noted.")
    for button in ("Mute", "Unmute", "Mark as resolved", "Open again"):
        hand.press(button)
        hand.told("Noted.")
    hand.sees("#notes", HOSTILE[0])
    hand.open(f"/dead-letters/{failed()}")
    hand.press("Replay", {"Jobs that go first": "1"})
    hand.told("has begun.")


@deed
def a_model_is_promoted_and_retired(hand: Hand) -> None:
    """Of demand, which no scaler of this fleet asks."""
    version = add_model(hand.fleet, models.DEMAND)
    hand.open(f"/models/{version}")
    hand.press("Promote", {})
    hand.told(f"Model {version}: promoted by")
    hand.press("Retire", {"Reason": HOSTILE[0]})
    hand.told(f"Model {version}: retired by")


@deed
def what_is_listed_is_filtered(hand: Hand) -> None:
    """The address says by what."""
    for path, label in (("/decisions", "Job type"), ("/history", "Queue"), ("/audit", "Who")):
        hand.open(path)
        hand.write(label, "nobody")
        hand.press("Filter")
        hand.page.wait_for_url("**=nobody*")


@deed
def somebody_is_added_and_changed(hand: Hand) -> None:
    """Their role, and whether they are let in."""
    name = f"ann_{hand.name}"
    hand.open("/people")
    hand.write("Name", name)
    hand.write("Password", "correct horse battery")
    hand.press("Add")
    hand.told(f"{name} can sign in.")
    for button in ("Make {} operator", "Make {} admin", "Make {} viewer", "Keep {} out", "Let {} in"):
        hand.press(button.format(name), {})
        hand.told(f"{name} was changed.")


@deed
def a_token_is_made_used_and_revoked(hand: Hand) -> None:
    """Shown once, and refused once it is revoked."""
    hand.open("/settings")
    hand.unfold("Make a token")
    hand.write("What it is for", f"ci-{hand.name}")
    hand.tick("jobs.read")
    hand.press("Make the token")
    secret = hand.page.locator("#token").inner_text()

    def status() -> int:
        headers = {"authorization": f"Bearer {secret}"}
        return int(hand.page.request.get(f"{hand.site.here}/api/v1/jobs", headers=headers).status)

    assert status() == 200
    if hand.keys:
        hand.press("Copy")
        hand.page.locator(".toast").wait_for()
    hand.press(f"Revoke ci-{hand.name}")
    hand.told("counts no more.")
    assert status() == 401


@deed
def how_pages_look_is_chosen(hand: Hand) -> None:
    """Kept in the browser, and left as it was."""
    for density in ("compact", "comfortable"):
        hand.open("/settings")
        hand.tick(density)
        hand.press("Keep it")
        hand.told("Kept in this browser.")
        assert hand.page.locator("html").get_attribute("data-density") == density


@deed
def the_keys_are_told(hand: Hand) -> None:
    """Where there is no JavaScript there are none."""
    hand.open("/settings")
    if hand.keys:
        hand.press("Keys ?", of="header")
        hand.press("Close", of="#help")
    assert not hand.page.get_by_role("dialog").count()
    assert hand.page.get_by_role("button", name="Keys ?").count() == hand.keys


@deed
def a_batch_is_steered(hand: Hand) -> None:
    """What failed of it runs once more; it is closed, and cancelled."""
    hand.open(f"/batches/{add_batch(hand.fleet)}")
    hand.press("Retry failed", {})
    hand.told("to run once more.")
    hand.press("Close", {})
    hand.told("It is closed")
    hand.press("Cancel", {"Reason": HOSTILE[0]})
    hand.told("It is being cancelled")


@deed
def a_limit_is_set_and_removed(hand: Hand) -> None:
    """And the order of a queue, and the weight of a tenant."""
    hand.open("/limits")
    hand.write("Name", f"key:{hand.name}", "#set")
    hand.write("At once", "2")
    hand.press("Set the limit")
    hand.told(f"key:{hand.name} is limited")
    hand.write("Find limits", hand.name)
    hand.press("Filter")
    hand.press(f"Remove key:{hand.name}", {})
    hand.told(f"key:{hand.name} is not limited any more.")
    orders = {"Queue": "slow", "Age": "60"}
    weights = {"Queue of the tenant": "slow", "Tenant": hand.name, "Weight": "2"}
    for of, button, entries in (("order", "Set the order", orders), ("weight", "Set the weight", weights)):
        hand.open("/limits")
        hand.unfold("Change the order of a queue")
        for label, value in entries.items():
            hand.write(label, value, f"form[action='/limits/{of}']")
        hand.press(button)
        hand.told("slow")


@deed
def a_breaker_is_forced(hand: Hand) -> None:
    """Held open before it is known to fail, held closed, and left to itself."""
    cause = f"host:{hand.name}.example"
    hand.open("/breakers")
    hand.write("Cause", cause, "#hold")
    hand.press("Hold it", {})
    hand.told(f"{cause} is held open.")
    for verb, says in (("Close", "is held closed."), ("Open", "is held open."), ("Reset", "decides by itself again.")):
        hand.press(f"{verb} {cause}", {})
        hand.told(f"{cause} {says}")


@deed
def a_plan_is_decided_on(hand: Hand) -> None:
    """An agent waits for it."""
    for button, says in (("Approve", "Approved"), ("Refuse", "Refused")):
        hand.open(f"/plans/{add_plan(hand.fleet)}")
        hand.press(button, {})
        hand.told(says)


@deed
def what_is_in_quarantine_is_replayed_and_discarded(hand: Hand) -> None:
    """One by its own page, and those of a queue from the list."""
    for button, says in (("Replay", "1 replayed."), ("Discard", "1 discarded.")):
        hand.open(f"/quarantine/{add_quarantined(hand.fleet)}")
        hand.press(button, {})
        hand.told(says)
    number = add_quarantined(hand.fleet)
    hand.open("/quarantine")
    hand.write("Queue", "mail")
    hand.press("Filter")
    hand.tick(f"Select {number}")
    hand.press("Discard", {})
    hand.told("1 discarded.")


@deed
def an_alert_is_muted(hand: Hand) -> None:
    """And told of again; a test says who would be told."""
    add_alert(hand.fleet, hand.name)
    hand.open("/alerts")
    hand.press(f"Mute long wait {hand.name}", {"Reason": HOSTILE[0]})
    hand.told(f"Nobody is told of long wait ({hand.name})")
    hand.press(f"Unmute long wait {hand.name}")
    hand.told(f"People are told of long wait ({hand.name}) again.")
    hand.press("Send a test")
    hand.told("was not told")


@deed
def a_job_runs_once_more_with_other_arguments(hand: Hand) -> None:
    """What changes is shown first; the dead letter of a job is edited in the same way."""
    job = hand.fleet.client.tasks["dashboard_jobs.fail"].apply_async(("torn",))
    found = "select dlq_id from @dead_letter_jobs where job_id = %(job)s and resolved_at is null"
    (letter,) = eventually(lambda: hand.fleet.rows(found, job=job.id), 30)
    hand.open(f"/jobs/{job.id}")
    hand.follow("Retry with other arguments")
    hand.write("Payload", '{"args": ["burnt"], "kwargs": {}}')
    hand.press("Show what changes")
    hand.sees("#changes", "burnt")
    hand.press("Submit as a new job")
    hand.told("Submitted with another payload.")
    for button, says in (("Keep it", "Kept: the job runs"), ("Keep it and replay", "Kept, and its job runs")):
        hand.open(f"/dead-letters/letters/{letter['dlq_id']}")
        hand.write("Payload", '{"args": ["burnt"], "kwargs": {}}')
        hand.press("Show what changes")
        hand.sees("main", "What changes")
        hand.press(button)
        hand.told(says)


@deed
def a_filter_is_saved_and_columns_are_chosen(hand: Hand) -> None:
    """Kept for whoever saved it, and in the address."""
    name = f"mine {hand.name}"
    hand.open("/jobs?q=state%3Afailed")
    hand.unfold("Saved filters")
    hand.write("Save this filter as", name)
    hand.press("Save")
    hand.told(f"Saved as {name}.")
    hand.unfold("Saved filters")
    hand.press(f"Remove {name}")
    hand.told(f"{name} is no longer saved.")
    hand.follow("Columns")
    hand.press("Show these columns")
    hand.page.wait_for_url("**cols=**")
