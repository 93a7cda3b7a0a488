# Lists the recipes.
default:
    @just --list

# What the README runs: the whole test suite.
test:
    cargo test --workspace

# The tests that start nothing: decisions, messages, house rules.
quick:
    cargo test -p slugline-model -p slugline-platform --lib
    cargo test -p slugline --test tidy

# Formatting, clippy and documentation, with warnings denied.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# The example app, until Ctrl-C.
example:
    cargo run --release -- up examples/library

# What a dyno, a noisy neighbour, the store and the router cost beside their peers (root).
bench:
    cargo bench -p slugline --bench dyno
    cargo bench -p slugline --bench neighbours
    cargo bench -p slugline-store
    cargo bench -p slugline-router

# Builds of the example beside podman's (root, podman, runc, debootstrap; ten minutes).
bench-builds:
    cargo bench -p slugline --bench rebuild

# Licences and advisories (needs cargo-deny).
deny:
    cargo deny check

# All that the build server runs.
ci:
    .ci/run
