# check=skip=InvalidDefaultArgInFrom
# NVIDIA's Triton with this project's TensorFlow backend, which NVIDIA's images no longer carry since 25.03; ONNX Runtime,
# PyTorch and TensorRT stay the native backends. Build it from the project's root; docs/guide/docker.md says how.

# The full name of a Triton image, tag like 25.10-py3, from the catalogue page of Triton Inference Server. No default: which
# registry an image comes from is the operator's decision.
ARG TRITON_IMAGE
FROM ${TRITON_IMAGE}

# The version of requirements.lock. `cpu`, or `gpu` for the build with NVIDIA's CUDA 12 libraries beside it.
ARG TENSORFLOW_VERSION=2.21.0
ARG TENSORFLOW_DEVICE=cpu

USER 0:0
SHELL ["/bin/bash", "-o", "errexit", "-o", "pipefail", "-c"]

# numpy stays exactly what the image ships: its Python backend stub was built and tested with it, and a stub and a numpy
# that disagree return empty tensors without an error. The rest of requirements.lock is not imposed on an image whose own
# packages we don't know; pip keeps what already fits. PIP_BREAK_SYSTEM_PACKAGES: the backend runs in the image's Python.
RUN case "${TENSORFLOW_DEVICE}" in \
        cpu) requirement="tensorflow-cpu==${TENSORFLOW_VERSION}" ;; \
        gpu) requirement="tensorflow[and-cuda]==${TENSORFLOW_VERSION}" ;; \
        *) echo "TENSORFLOW_DEVICE must be cpu or gpu, not '${TENSORFLOW_DEVICE}'" >&2; exit 2 ;; \
    esac; \
    python3 -c 'import numpy; print(f"numpy=={numpy.__version__}")' > /tmp/numpy-of-the-image.txt; \
    PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint /tmp/numpy-of-the-image.txt "${requirement}"; \
    rm /tmp/numpy-of-the-image.txt; \
    TF_CPP_MIN_LOG_LEVEL=3 python3 -c 'import tensorflow'

# The backends import each other as the package `backends`, whose root Triton's own folder becomes.
COPY backends/__init__.py /opt/tritonserver/backends/__init__.py
COPY backends/common /opt/tritonserver/backends/common
COPY backends/tensorflow /opt/tritonserver/backends/tensorflow

# `triton-server` in NVIDIA's images; as a number, so that runAsNonRoot can check it.
USER 1000:1000
