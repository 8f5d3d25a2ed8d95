# Lists the recipes.
default:
    @just --list

# Runs all that CI runs.
check:
    .ci/run

# Runs the tests. More words go to cargo: `just test --test it claim`.
test *ARGS:
    cargo test --workspace --all-features {{ ARGS }}

# Runs the benchmarks.
bench *ARGS:
    cargo bench --workspace --all-features {{ ARGS }}

# Formats the code.
fmt:
    cargo fmt --all

# Runs clippy as CI does: with all features and with none.
lint:
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo clippy -p flockwork --no-default-features -- -D warnings

# Builds the documentation of the library and the command.
doc *ARGS:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps {{ ARGS }}

# Checks licences, sources and advisories of the dependencies (needs cargo-deny).
deny:
    cargo deny --all-features check
