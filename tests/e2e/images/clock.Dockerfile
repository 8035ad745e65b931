# One of our images with a clock of its own: what is written to /tmp/clock, such as +3h, sets it; see faketime(1).
ARG BASE
FROM ${BASE}
COPY libfaketimeMT.so.1 /clock/
ENV LD_PRELOAD=/clock/libfaketimeMT.so.1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_TIMESTAMP_FILE=/tmp/clock FAKETIME_CACHE_DURATION=1
