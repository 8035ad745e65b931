# Two images from one build: `docker build .` makes the operator's, `docker build --target runner .` the runners'.
# The operator's is the last stage, so the default: it is what one installs, and it is told which runner image to use.
#
# BASE is any Debian-like image with Python 3.11 or later and its venv module, such as python:3.13-slim. Where packages
# come from is the builder's business: `--secret id=pip,src=pip.conf` gives the build a pip configuration that is not
# kept in the image.
ARG BASE=python:3.13-slim

# The project's own wheel, and the pip that installs everything; nothing of this stage is in an image.
FROM ${BASE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements-build.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /build \
    && /build/bin/pip install --quiet --no-compile --require-hashes --only-binary :all: -r requirements-build.lock

FROM build AS wheel
# The modules that each request goes through are compiled here, so this stage has a C compiler. COMPILE=no does without:
# the runner is the same then, and costs more CPU.
ARG COMPILE=yes
RUN test "$COMPILE" = no || (command -v cc && python3 -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")') >/dev/null 2>&1 \
    || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-dev) >/dev/null
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY core core
COPY runner runner
COPY operator operator
COPY cli cli
COPY examples examples
RUN LOADGATE_COMPILE="$COMPILE" /build/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

# An environment without pip, with each target's locked dependencies and only that target's part of the project.
FROM build AS runner-files
COPY requirements-runner.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv --without-pip /opt/loadgate \
    && /build/bin/pip --python /opt/loadgate/bin/python install --quiet --no-compile --require-hashes --only-binary :all: -r requirements-runner.lock
COPY images/finish ./
COPY --from=wheel /wheels /wheels
RUN /build/bin/pip --python /opt/loadgate/bin/python install --quiet --no-compile --no-deps --no-index /wheels/*.whl \
    && /src/finish operator cli

FROM build AS operator-files
COPY requirements-operator.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv --without-pip /opt/loadgate \
    && /build/bin/pip --python /opt/loadgate/bin/python install --quiet --no-compile --require-hashes --only-binary :all: -r requirements-operator.lock
COPY images/finish ./
COPY --from=wheel /wheels /wheels
RUN /build/bin/pip --python /opt/loadgate/bin/python install --quiet --no-compile --no-deps --no-index /wheels/*.whl \
    && /src/finish runner cli

# The base without what installs packages: nothing in a running container needs it.
FROM ${BASE} AS bare
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*-packages/setuptools*' \
        -o -path '*-packages/pkg_resources' -o -path '*-packages/wheel*' -o -path '*/python3*/ensurepip' \
        -o -path /usr/share/python-wheels -o -path '*/bin/pip*' -o -path '*/bin/wheel*' \) -prune -exec rm -rf {} +
# A user who isn't root where nothing else is said. Any other will do, and none needs a home or a line in /etc/passwd.
USER 65532:65532
WORKDIR /
ENV PATH=/opt/loadgate/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.vendor="loadgate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM bare AS runner
LABEL org.opencontainers.image.title="loadgate runner" \
      org.opencontainers.image.description="Makes a LoadTest's load and measures it; the operator starts it"
COPY --from=runner-files /opt/loadgate /opt/loadgate
ENTRYPOINT ["loadgate-runner"]

FROM bare AS operator
LABEL org.opencontainers.image.title="loadgate operator" \
      org.opencontainers.image.description="Runs the LoadTests of a Kubernetes cluster and judges them by their budgets"
COPY --from=operator-files /opt/loadgate /opt/loadgate
ENTRYPOINT ["loadgate-operator"]
