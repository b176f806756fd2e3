# One image for the operator and the command line. Builds with buildah and docker.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/treadle \
 && /opt/treadle/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY operator operator
RUN cp -r operator/treadle "$(/opt/treadle/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/treadle" \
 && /opt/treadle/bin/python -m compileall -q /opt/treadle/lib

FROM python:3.11-slim
LABEL org.opencontainers.image.title="treadle" \
      org.opencontainers.image.description="AWS Step Functions for Kubernetes, without a database"
COPY --from=build /opt/treadle /opt/treadle
ENV PATH=/opt/treadle/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["python", "-m", "treadle"]
CMD ["operator"]
