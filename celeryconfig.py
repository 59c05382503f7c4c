"""Celery's settings for ``celery -A jobplatform``; where the stores are comes from the environment."""

timezone = "UTC"
enable_utc = True
task_serializer = "json"
accept_content = ["json"]
result_serializer = "json"
task_send_sent_event = False
worker_send_task_events = False
beat_scheduler = "jobplatform.scheduling.beat:JobScheduler"
beat_max_loop_interval = 1
