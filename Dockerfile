# syntax=docker/dockerfile:1
# Gadwall with its DuckDB library and extensions, which are fetched and checked while the image is built, never at run time.

# Both stages are of one Debian release, so that what is linked in the first finds its C library in the second. With
# `docker buildx build --platform linux/amd64,linux/arm64` each platform is built as itself; caches are kept apart.

FROM rust:1.95.0-slim-bookworm AS build
ARG TARGETARCH
RUN --mount=type=cache,id=gadwall-apt-cache-$TARGETARCH,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=gadwall-apt-lib-$TARGETARCH,target=/var/lib/apt,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean \
    && apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates g++ make npm python3-pip
WORKDIR /src

# Changes with the pinned versions only.
COPY Makefile ./
COPY infra/packages.py infra/
COPY infra/duckdb infra/duckdb
RUN make setup

COPY . .
# What was compiled stays in caches of the builder; the image gets the assembled release.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/usr/local/cargo/git,sharing=locked \
    --mount=type=cache,id=gadwall-target-$TARGETARCH,target=/src/target,sharing=locked \
    make release

FROM debian:bookworm-slim
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="gadwall" \
      org.opencontainers.image.description="A self-hosted data-product server on DuckDB and DuckLake" \
      org.opencontainers.image.source="https://github.com/gadwall/gadwall" \
      org.opencontainers.image.documentation="https://github.com/gadwall/gadwall/blob/main/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="debian:bookworm-slim"
# Roots for TLS to PostgreSQL and S3, and the C++ library that DuckDB is linked to.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin gadwall \
    && install --directory --owner gadwall --group gadwall /data
COPY --from=build /src/dist/gadwall /opt/gadwall
ENV PATH=/opt/gadwall/bin:$PATH HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
# By number, so that Kubernetes can tell that it isn't root.
USER 10001:10001
WORKDIR /data
# All that is written lies here, and in /tmp while it is needed: the rest may be mounted read-only.
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["gadwall", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["gadwall"]
CMD ["serve"]
