# The static binary alone: docker build -t megabin .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /megabin ./cmd/megabin

FROM scratch
COPY --from=build /megabin /megabin
ENTRYPOINT ["/megabin"]
