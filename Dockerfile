# syntax=docker/dockerfile:1
# Gadwall with its DuckDB library and extensions, which are fetched and checked while the image is built, never at run time.

FROM rust:1.95.0-slim-bookworm AS build
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
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
    --mount=type=cache,target=/src/target,sharing=locked \
    make release

FROM debian:bookworm-slim
# Roots for TLS to PostgreSQL and S3, and the C++ library that DuckDB is linked to.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin gadwall \
    && install --directory --owner gadwall --group gadwall /data
COPY --from=build /src/dist/gadwall /opt/gadwall
ENV PATH=/opt/gadwall/bin:$PATH HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["gadwall", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["gadwall"]
CMD ["serve"]
