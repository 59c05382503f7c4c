"""A Flask application with Celery, put together as Flask's documentation does it."""

import os

from celery import Celery, Task
from flask import Flask

import jobplatform
from webshop import views


def create_app() -> Flask:
    """Make the web application, and the Celery application that belongs to it."""
    app = Flask(__name__)
    app.config["CELERY"] = {"broker_url": os.environ["REDIS_URL"], "task_default_queue": "webshop"}
    create_celery(app)
    app.register_blueprint(views.blueprint)
    return app


def create_celery(app: Flask) -> Celery:
    """Make the Celery application, whose tasks run inside Flask's application context."""

    class FlaskTask(Task):  # type: ignore[misc, type-arg, unused-ignore]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery(app.name, task_cls=FlaskTask, include=["webshop.tasks"])
    celery.config_from_object(app.config["CELERY"])
    jobplatform.attach(celery)
    celery.set_default()
    app.extensions["celery"] = celery
    return celery
