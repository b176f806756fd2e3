# One image for the operator and the command line. Builds with buildah and docker.
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
WORKDIR /build
COPY requirements/run.txt requirements/run.txt
# Without pip: what is installed is what the lock names, and scanners read it from its metadata.
RUN python3 -m venv --without-pip /opt/treadle \
 && python3 -m pip --python /opt/treadle/bin/python install --no-cache-dir --no-compile \
      --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY operator operator
# Compiled here, because the root file system is read-only there.
RUN cp -r operator/treadle /opt/treadle/lib/python3.*/site-packages/ \
 && printf '#!/bin/sh\nexec /opt/treadle/bin/python -m treadle "$@"\n' > /opt/treadle/bin/treadle \
 && chmod 755 /opt/treadle/bin/treadle \
 && /opt/treadle/bin/python -m compileall -q /opt/treadle/lib

FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="treadle" \
      org.opencontainers.image.description="AWS Step Functions for Kubernetes, without a database" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/treadle /opt/treadle
COPY --from=build /build/requirements/run.txt /opt/treadle/requirements.txt
ENV PATH=/opt/treadle/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["treadle"]
CMD ["operator"]
