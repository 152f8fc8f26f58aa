# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.

export CGO_ENABLED = 0
GO      ?= go
OUT     ?= out
MEGABIN := bin/megabin
# The same with what serves BuildKit, which is for an image.
FRONTEND_BINARY := bin/megabin-frontend
# What runs or tests recompiled code is built with the engine of runtime/wazero.
ENGINE  := -modfile=$(abspath $(OUT))/go.mod
# Debian packages that building does not need but demo, tests and benchmarks do:
# program → package.
TOOLS := gcc:gcc mmdebstrap:mmdebstrap wasm-validate:wabt qemu-x86_64:qemu-user runc:runc patch:patch \
         csmith:csmith musl-gcc:musl-tools openssl:openssl \
         skopeo:skopeo busybox:busybox-static xz:xz-utils clang:clang wasm-ld:lld
SOURCE := cmd converter frontend integration layers runtime
FUZZTIME ?= 10s
# What `make bench` measures: a regular expression of PART or PART/ROW, such as programs/python.
RUN ?=
# Where frontend-image puts the image; a registry's is docker://HOST/REPO.
FRONTEND ?= oci:$(OUT)/frontend

.PHONY: help deps engine build frontend-image demo test integration race conformance bench coverage fuzz clean

help:
	@echo 'make demo         convert a Debian image and run programs of it'
	@echo 'make test         everything that must pass, within minutes'
	@echo 'make integration  BuildKit, buildx, registry, crane and skopeo, started for it'
	@echo 'make race         the kernel under the race detector, its own tests and small programs that run in it'
	@echo 'make conformance  longer suites, and those of bash, busybox, coreutils, git, Python and others'
	@echo 'make bench        speed and size, side by side with native, qemu, runc, gVisor and wasm from source; RUN=programs/python for a part'
	@echo 'make coverage     what code discovery and translation miss in some 150 Debian packages'
	@echo 'make fuzz         each fuzz target for FUZZTIME ($(FUZZTIME))'
	@echo 'make build        bin/megabin and bin/megabin-frontend, static'
	@echo 'make frontend-image  the image for "# syntax=", without a container engine, in FRONTEND ($(FRONTEND))'
	@echo 'make deps         what the above need, with apt when root'
	@echo 'make clean        remove bin/ and out/'

deps:
	@./.ci/deps $(TOOLS)

engine:
	@./runtime/wazero/prepare $(OUT)

build: engine
	$(GO) build $(ENGINE) -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

frontend-image: build
	@$(GO) run $(ENGINE) ./integration/cmd/mkfrontend $(FRONTEND_BINARY) $(FRONTEND)

demo: deps build
	@./examples/demo.sh $(MEGABIN) $(OUT)/demo

test: deps build
	@test -z "$$(gofmt -l $(SOURCE))" || { echo 'not gofmt-ed:'; gofmt -l $(SOURCE); exit 1; }
	$(GO) vet $(ENGINE) ./...
	$(GO) test $(ENGINE) ./frontend/... ./converter/... ./layers/... ./runtime/... ./cmd/...
	$(GO) test $(ENGINE) -timeout 40m -parallel 2 $$($(GO) list ./integration/... | grep -v /integration/images)

integration: deps build
	@[ "$$(id -u)" != 0 ] || { ./.ci/deps docker-registry:docker-registry && ./.ci/tools $(OUT)/tools; }
	$(GO) test $(ENGINE) -v -count=1 -timeout 30m ./integration/images

# Guests' own memory is none of Go's, so only the kernel and what runs it are looked at.
race: deps build
	CGO_ENABLED=1 $(GO) test $(ENGINE) -race ./runtime/...
	CGO_ENABLED=1 $(GO) build $(ENGINE) -race -o $(OUT)/megabin-race ./cmd/megabin
	MEGABIN=$(abspath $(OUT))/megabin-race $(GO) test $(ENGINE) -timeout 60m ./integration -run 'TestSyscalls|TestSockets'

conformance: race
	MEGABIN_CONFORMANCE=1 $(GO) test $(ENGINE) -timeout 120m $$($(GO) list ./... | grep -v /integration/suites)
	MEGABIN_CONFORMANCE=1 $(GO) test $(ENGINE) -v -timeout 12h -parallel 2 ./integration/suites

bench: deps build
	@mkdir -p $(OUT)
	@./.ci/deps docker-registry:docker-registry
	@./.ci/tools $(OUT)/tools
	@./.ci/tools $(OUT)/tools gvisor || echo 'gVisor could not be built: the tables are without it'
	$(GO) run $(ENGINE) ./integration/bench -megabin $(MEGABIN) -out $(OUT) -tools $(OUT)/tools -run '$(RUN)'
	$(GO) test $(ENGINE) -run '^$$' -bench . -benchtime 20x ./integration/images

coverage: engine
	@mkdir -p $(OUT)
	$(GO) run $(ENGINE) ./integration/coverage -out $(OUT) > $(OUT)/coverage.txt
	@tail -n 120 $(OUT)/coverage.txt

fuzz: engine
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test $(ENGINE) -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test $(ENGINE) -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

clean:
	rm -rf bin $(OUT)
