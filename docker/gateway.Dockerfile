# The gateway alone, in front of a Triton that runs elsewhere: no framework, no compiler, no package cache.
# Build it from the project's root:  docker build --file docker/gateway.Dockerfile --tag triton-gateway .

FROM python:3.11-slim-bookworm AS build

# The environment gets no pip of its own: the stage's pip installs into it from outside, and what runs can't install.
RUN python -m venv --without-pip /opt/triton-gateway

WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY gateway gateway
COPY converters converters
COPY typed_yaml typed_yaml
COPY atomic atomic
COPY backends backends
COPY configs configs
COPY examples examples

# Modules are compiled here, because the running container's file system may be read-only.
RUN pip --python /opt/triton-gateway/bin/python --no-cache-dir --disable-pip-version-check \
    install --compile --constraint requirements.lock .


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="triton-gateway" \
      org.opencontainers.image.description="A thin inference gateway in front of NVIDIA Triton Inference Server" \
      org.opencontainers.image.licenses="Apache-2.0"

# A numeric user, so that Kubernetes' runAsNonRoot can check it without reading the image's user list.
RUN groupadd --gid 10001 gateway \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/triton-gateway

COPY --from=build /opt/triton-gateway /opt/triton-gateway
COPY --chmod=0644 docker/gateway.yaml /etc/triton-gateway/gateway.yaml

# Whatever wants a home or a cache finds it in /tmp, the only place that must be writable. What is decided about traffic
# while the gateway runs is kept in a volume; without one it is forgotten with the container.
ENV PATH="/opt/triton-gateway/bin:${PATH}" \
    HOME=/tmp \
    XDG_STATE_HOME=/var/lib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

VOLUME /var/lib/triton-gateway
USER 10001:10001
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM

# http.client and not urllib: it never goes through a proxy that the environment names. A port other than 8080 in the
# configuration needs a health check of its own (`docker run --health-cmd`, `healthcheck:` in compose).
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8080, timeout=2); c.request('GET', '/v2/health/live'); sys.exit(c.getresponse().status != 200)"]

ENTRYPOINT ["triton-gateway"]
CMD ["serve", "--config", "/etc/triton-gateway/gateway.yaml"]
