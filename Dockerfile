FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/app.txt requirements/
# Wheels only: nothing is compiled, so nothing is needed to compile. Without pip the environment is smaller by 12 MiB.
RUN python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r requirements/app.txt

# certbot, for ACME_DOMAINS alone.
FROM build AS acme
COPY requirements/acme.txt requirements/
RUN pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r requirements/acme.txt
COPY slipway/renewal.py /srv/
RUN chmod 0644 /srv/renewal.py
WORKDIR /tmp
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 10001:10001
ENTRYPOINT ["python", "-IS", "/srv/renewal.py"]

# The load generator, for `make locust` alone.
FROM build AS loadtest
COPY requirements/loadtest.txt requirements/
RUN pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r requirements/loadtest.txt
WORKDIR /srv
COPY loadtest loadtest
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp
USER 10001:10001
ENTRYPOINT ["locust", "-f", "loadtest"]

FROM python:3.13-slim AS app
# A fixed id, which the volume of sockets and nginx's group name too (docker-compose.yml).
RUN groupadd --gid 10001 slipway && useradd --uid 10001 --gid slipway --no-create-home --shell /usr/sbin/nologin slipway \
 && install -d -m 0750 -o slipway -g slipway /data \
 && install -d -m 0755 -o slipway -g slipway /static
WORKDIR /srv
COPY --from=build /venv /venv
# All of the folder but what .dockerignore names, so that what you add is there.
COPY . .
# Bytecode is written now, since the root file system will be read-only.
# Files keep the modes of the folder, which may be for its owner alone.
RUN chmod -R a+rX /srv && /venv/bin/python -m compileall -q /srv
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data
ARG COMMIT=unknown
ENV COMMIT=$COMMIT
LABEL org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.version=$COMMIT
USER 10001:10001
STOPSIGNAL SIGTERM
# gunicorn.conf.py names the app: that of [tool.slipway], or APP.
CMD ["gunicorn", "-k", "uvicorn.workers.UvicornWorker"]
