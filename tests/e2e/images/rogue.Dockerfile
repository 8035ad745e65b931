# The runner's image with a runner in it that misbehaves in the way that its LoadTest is named after.
ARG BASE
FROM ${BASE}
COPY --chmod=755 rogue_runner.py /rogue/loadgate-runner
ENV PATH=/rogue:/opt/loadgate/bin:/usr/local/bin:/usr/bin:/bin
