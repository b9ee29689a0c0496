# One image for web, worker, beat and commands of the operator; only the command differs.

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY bootstrap.py pyproject.toml requirements-bootstrap.lock requirements-server.lock ./
# Installs the locked packages with --require-hashes into /app/.venv, as in a clone.
RUN python bootstrap.py server

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 execfabric \
    && useradd --system --uid 10001 --gid execfabric --home-dir /data --no-create-home execfabric \
    && install --directory --owner execfabric --group execfabric --mode 0711 /data
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY LICENSE manage.py pyproject.toml ./
COPY cli cli
COPY examples examples
COPY execfabric execfabric
COPY executors executors
COPY governance governance
COPY skills skills
COPY tenants tenants
# A bare interpreter imports these for every run and may not write what it compiled.
RUN python -m compileall -q executors
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EXECFABRIC_DATA_DIR=/data
USER execfabric
VOLUME /data
EXPOSE 8000
# The admin host exists as soon as the database is prepared; an unknown host would be answered 404.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as r; host = 'admin.' + os.environ.get('EXECFABRIC_BASE_DOMAIN', 'localhost'); r.urlopen(r.Request('http://127.0.0.1:8000/healthz', headers={'Host': host}), timeout=8)"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "32", "--blocking-threads-idle-timeout", "600", "--respawn-failed-workers", "execfabric.wsgi:application"]
