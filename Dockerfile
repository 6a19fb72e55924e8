# The operator's image: `docker build -t modelserving-operator:0.1.0 .`
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY operator ./operator
RUN python -m venv /opt/modelserving \
 && /opt/modelserving/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt .

FROM python:3.12-slim
COPY --from=build /opt/modelserving /opt/modelserving
# Bytecode was compiled by pip, and where the chart runs this the file system is read-only.
ENV PATH=/opt/modelserving/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["modelserving"]
CMD ["operator"]
