"""An ordinary Celery application; the line that makes it durable is the last one."""

import os

from celery import Celery

import jobplatform

app = Celery("shop", broker=os.environ["REDIS_URL"], include=["tasks"])
app.conf.update(task_default_queue="shop", timezone="Europe/Berlin")

jobplatform.attach(app)
