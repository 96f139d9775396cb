# Separation on CPUs, offline, with the model inside:
#
#   docker build -t uss .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" uss movie.wav --level 2
#
# Everything but PyTorch comes from requirements.lock, with hashes.

FROM docker.io/library/debian:bookworm-slim AS build
# PyTorch's own index of builds without CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && python3 -m venv /opt/uss
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN /opt/uss/bin/pip install --no-deps --index-url "$TORCH_INDEX" torch==2.13.0
COPY requirements.lock /src/
RUN /opt/uss/bin/pip install --no-deps --require-hashes --requirement /src/requirements.lock
COPY . /src
RUN /opt/uss/bin/pip install --no-deps --no-build-isolation /src

FROM docker.io/library/debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home uss \
    && install --directory --owner=uss /data
COPY --from=build /opt/uss /opt/uss
# Caches lie where any user may write; spinning threads would slow down a shared machine.
ENV PATH=/opt/uss/bin:$PATH \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    OMP_WAIT_POLICY=passive
USER uss
WORKDIR /data
ENTRYPOINT ["uss-separate"]
CMD ["--help"]
