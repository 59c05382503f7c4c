"""The Celery application, as Celery's documentation writes it for Django."""

import os

from celery import Celery

import jobplatform

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

jobplatform.attach(app)
