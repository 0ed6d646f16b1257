FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
COPY branching branching
COPY migration migration
RUN python -m venv /opt/bough && /opt/bough/bin/pip install --no-cache-dir '.[sample]'

FROM python:3.13-slim
RUN useradd --system --create-home --uid 10001 bough \
    && install -d -o bough -g bough /data
COPY --from=build /opt/bough /opt/bough
ENV PATH=/opt/bough/bin:$PATH BOUGH_HOST=0.0.0.0 BOUGH_LOG=json
USER bough
WORKDIR /data
VOLUME /data
EXPOSE 5439
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 5439), 2).close()"]
ENTRYPOINT ["bough"]
CMD ["serve", "/data/bough.duckdb", "--sample"]
