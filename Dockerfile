FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/app.txt requirements/
# Wheels only, so that no compiler is needed. Without pip the environment is 12 MiB smaller.
RUN python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: -r requirements/app.txt

# certbot, for ACME_DOMAINS only.
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

# The load generator, for `make locust` only.
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
# A fixed id, which docker-compose.yml also has for the volume of sockets and for nginx's group.
RUN groupadd --gid 10001 slipway && useradd --uid 10001 --gid slipway --no-create-home --shell /usr/sbin/nologin slipway \
 && install -d -m 0750 -o slipway -g slipway /data \
 && install -d -m 0755 -o slipway -g slipway /static
WORKDIR /srv
COPY --from=build /venv /venv
# The whole folder, except for .dockerignore, so that files you add are included.
COPY . .
# Bytecode is compiled now, since the root file system will be read-only. Files keep their modes, which may allow only
# their owner to read them, so chmod comes first.
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
# gunicorn.conf.py sets the app: APP, or that of [tool.slipway].
CMD ["gunicorn", "-k", "uvicorn.workers.UvicornWorker"]
