# syntax=docker/dockerfile:1
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 SOURCE_DATE_EPOCH=1767225600
WORKDIR /src
COPY .locks/runtime.txt .locks/dev.txt .locks/
# The build backend and what it needs, at the versions and hashes of the lock.
RUN awk '/^[a-z]/ {on = /^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/} on' .locks/dev.txt > .locks/build.txt \
 && pip install --require-hashes --only-binary=:all: -r .locks/build.txt
RUN python -m venv --without-pip /opt/lazaretto \
 && pip --python /opt/lazaretto/bin/python install --require-hashes --only-binary=:all: -r .locks/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/lazaretto operator/lazaretto
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && pip --python /opt/lazaretto/bin/python install --no-deps --no-index /dist/*.whl

FROM ${PYTHON}
LABEL org.opencontainers.image.title="lazaretto" org.opencontainers.image.licenses="Apache-2.0"
# PYTHONSAFEPATH: never import from the working directory.
ENV PATH=/opt/lazaretto/bin:/usr/bin:/bin PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/lazaretto /opt/lazaretto
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["lazaretto"]
