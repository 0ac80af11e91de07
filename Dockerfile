# One image for all parts of Kuji: the part is the argument, as in `IMAGE draw`; all else is a command of `kuji`, as in
# `IMAGE migrate`. Everything comes from the build context, which .dockerignore holds down to the lock file and the
# wheels that `make image-wheels` has laid into dist/image: no package index is asked here, or known.

# Any system with Python 3.11 and its venv; `make image` makes one of Debian's packages, where there is no registry.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY requirements-image.lock /build/
COPY dist/image /build/wheels/
# Compiled here, since nothing can be written later; what the lock file pins is checked against its hashes.
RUN python3 -m venv /build/pip \
 && python3 -m venv --without-pip /opt/kuji \
 && pip="/build/pip/bin/pip --python /opt/kuji/bin/python --disable-pip-version-check" \
 && options="--quiet --no-cache-dir --no-compile --no-index --find-links /build/wheels" \
 && $pip install $options --only-binary :all: --require-hashes -r /build/requirements-image.lock \
 && $pip install $options --no-deps kuji kuji-platform \
 && $pip check \
 && /opt/kuji/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/kuji/lib

FROM ${BASE}
# Where `kuji edge-config` writes; a fresh volume takes its owner from here.
RUN echo 'kuji:x:1000:1000:Kuji:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'kuji:x:1000:' >> /etc/group \
 && mkdir /etc/envoy \
 && chown 1000:1000 /etc/envoy
COPY --from=build /opt/kuji /opt/kuji
# Nothing is imported from where the process happens to stand; nothing is written but below /tmp.
ENV PATH=/opt/kuji/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LC_ALL=C.UTF-8 \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Kuji" \
      org.opencontainers.image.description="A draw platform: auth, draw, admin, history, recorder, and the kuji command." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000:1000
WORKDIR /tmp
# gRPC, health, metrics; see docs/containers.md.
EXPOSE 50051 50052 9100
ENTRYPOINT ["python", "-m", "services"]
