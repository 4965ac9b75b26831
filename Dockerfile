# syntax=docker/dockerfile:1
# Two images. `full`, the default, brings PostgreSQL and the embedding model along and needs nothing else.
# `--target slim` has neither: it needs DATABASE_URL, and a model directory or an embedding provider.

# The compiler of rust-toolchain.toml, so that none is fetched.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
# The dependencies, in a layer that changes only with the manifests: all crates are empty here.
COPY Cargo.toml Cargo.lock ./
COPY encoder/Cargo.toml encoder/
COPY migration/Cargo.toml migration/
RUN mkdir -p src encoder/src encoder/benches migration/src \
    && echo 'fn main() {}' > src/main.rs && cp src/main.rs encoder/benches/embed.rs \
    && touch src/lib.rs encoder/src/lib.rs migration/src/lib.rs \
    && cargo build --release --locked \
    && rm -r src encoder/src encoder/benches migration/src
COPY . .
# Cargo goes by modification times, and those of the checkout are older than the empty crates'.
RUN touch src/main.rs src/lib.rs encoder/src/lib.rs migration/src/lib.rs && cargo build --release --locked --bin vectorforge

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
COPY --from=build /src/target/release/vectorforge /usr/local/bin/vectorforge
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
