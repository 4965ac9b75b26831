# syntax=docker/dockerfile:1
# Two images. `full`, the default, brings PostgreSQL and the embedding model along and needs nothing else.
# `--target slim` has neither: it needs DATABASE_URL, and a model directory or an embedding provider.

# The compiler of rust-toolchain.toml, so that none is fetched.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# Cargo's downloads and what it built stay in caches of the builder: a change builds only what it touches.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin vectorforge && cp target/release/vectorforge /usr/local/bin/

FROM python:3.12-slim-bookworm AS runtime
COPY runtime/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes \
    --target /opt/vectorforge/runtime --requirement /tmp/requirements.txt

FROM debian:bookworm-slim AS slim
# Not pinned: the certificates of the day are what is wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --create-home --home-dir /var/lib/vectorforge vectorforge
COPY --from=build /usr/local/bin/vectorforge /usr/local/bin/vectorforge
COPY LICENSE assets/graphiql/LICENSES.txt /usr/share/doc/vectorforge/
ENV LANG=C.UTF-8 \
    VECTORFORGE_HTTP__HOST=0.0.0.0 \
    VECTORFORGE_DATA_DIR=/var/lib/vectorforge
# A number, so that orchestrators can tell that it is not root.
USER 10001:10001
WORKDIR /var/lib/vectorforge
VOLUME /var/lib/vectorforge
EXPOSE 8000
# The first start creates a database and loads the model: failures do not count before the start period ends.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["vectorforge", "health"]
ENTRYPOINT ["vectorforge"]
CMD ["serve"]

FROM slim AS full
COPY --from=runtime /opt/vectorforge/runtime /opt/vectorforge/runtime
ENV VECTORFORGE_RUNTIME_DIR=/opt/vectorforge/runtime
