# One image for all services; docker-compose.yml says which one a container runs.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/assay
COPY --from=build /build/dist ./dist
COPY --from=build /build/bin ./bin
COPY --from=build /build/package.json ./
RUN useradd --system --uid 10001 assay && ln -s /opt/assay/bin/assay.cjs /usr/local/bin/assay
USER assay
ENTRYPOINT ["/opt/assay/bin/assay.cjs"]
CMD ["serve", "--config", "/etc/assay/assay.yaml"]
