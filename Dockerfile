# The static binary alone, as a BuildKit frontend (# syntax=HOST/megabin) and as
# a program (docker run --entrypoint /megabin). `make frontend-image` makes the
# same image without a container engine.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN runtime/wazero/prepare out && \
    CGO_ENABLED=0 go build -modfile=out/go.mod -trimpath -ldflags '-s -w' -o /megabin ./cmd/megabin-frontend

FROM scratch
COPY --from=build /megabin /megabin
LABEL moby.buildkit.frontend.network.none="true" \
      moby.buildkit.frontend.caps="moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests,moby.buildkit.frontend.contexts"
ENTRYPOINT ["/megabin", "frontend"]
