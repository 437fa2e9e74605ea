# The worker of docker-compose.yml: what requirements-worker.lock pins, this project, and nothing to build with.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv /venv
COPY requirements-worker.lock ./
RUN /venv/bin/pip install --require-hashes --only-binary :all: -r requirements-worker.lock
COPY pyproject.toml README.md LICENSE ./
COPY apprentice ./apprentice
COPY activities ./activities
COPY workflows ./workflows
COPY workers ./workers
COPY client ./client
RUN /venv/bin/pip install --no-deps .

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
# The store, models and apprentice.yaml live here; a new volume takes over owner and mode.
RUN useradd --uid 10001 --create-home apprentice && install --directory --owner apprentice /srv/apprentice
COPY --from=build /venv /venv
WORKDIR /srv/apprentice
USER apprentice
ENTRYPOINT ["apprentice"]
CMD ["worker"]
