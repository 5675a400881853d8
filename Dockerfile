# One static program, a user without a name, and nothing else: no shell, no package
# manager. It writes to /var/lib/postrider only, so the root may be read-only.
ARG GO_VERSION=1.26.8

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG COMMIT=
ARG DATE=
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
	-ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" \
	-o /out/postrider ./cmd/postrider && mkdir /out/store && \
	deploy/licenses /out/postrider >/out/THIRD_PARTY_LICENSES && cp LICENSE /out/LICENSE

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/postrider /postrider
COPY --from=build /out/LICENSE /out/THIRD_PARTY_LICENSES /
COPY --from=build --chown=65532:65532 /out/store /var/lib/postrider
USER 65532:65532
# Within a container loopback reaches nobody. Beyond it, the program refuses to start
# without http.keys, or http.allow_anonymous.
ENV POSTRIDER_HTTP__HOST=0.0.0.0 \
	POSTRIDER_STORAGE__PATH=/var/lib/postrider/store
VOLUME /var/lib/postrider
EXPOSE 5000
# It reads the configuration of the server, and trusts the certificate in it.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["/postrider", "health"]
ENTRYPOINT ["/postrider"]
CMD ["serve"]
