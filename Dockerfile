FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

COPY pyproject.toml setup.cfg README.md ./
COPY jobplatform jobplatform
COPY migrations migrations
RUN pip install --no-cache-dir . \
    && useradd --system --uid 10001 --create-home jobplatform \
    && install -d -o jobplatform -m 700 /var/lib/jobplatform/export

USER jobplatform
CMD ["python", "-m", "celery", "-A", "jobplatform", "worker", "-c", "2", "-l", "INFO"]
