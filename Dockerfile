# The two environments of ./run_all.sh and this checkout: docs/reproduction.md tells how it is built and run.
FROM python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1

# Records name the commit that they were computed at.
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 sensegen
USER sensegen
WORKDIR /home/sensegen
ENV PIP_NO_CACHE_DIR=1

# First the locks alone, so that an edit of the code does not install 3 GB of packages again.
COPY --chown=sensegen requirements.lock ./
COPY --chown=sensegen engine/environment.sh engine/requirements.lock engine/
RUN bash -euo pipefail -c '. engine/environment.sh; \
    make_environment .venv requirements.lock; cp requirements.lock .venv/.made; \
    make_environment .venv-engine engine/requirements.lock; cp engine/requirements.lock .venv-engine/.made'
COPY --chown=sensegen . ./
RUN .venv/bin/python -m pip install --no-deps --no-build-isolation -e .

CMD ["./run_all.sh"]
