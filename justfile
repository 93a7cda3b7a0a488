# What can be done here
default:
    @just --list

# All tests
test:
    cargo test --workspace

# Format, lints and documentation, without changing anything
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items

# What has to pass before a change lands
ci:
    .ci/run

# Runs the example at http://library.localhost:5080/
example:
    cargo run --release -- up examples/library
