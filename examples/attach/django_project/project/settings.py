"""Django's settings; those of Celery begin with CELERY_."""

import os

SECRET_KEY = "an example, served to nobody"
ALLOWED_HOSTS = ["localhost", "testserver"]
INSTALLED_APPS = ["orders"]
ROOT_URLCONF = "project.urls"
USE_TZ = True

CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_TASK_DEFAULT_QUEUE = "orders"
CELERY_TASK_TIME_LIMIT = 60
