//! The binary that libFuzzer drives. It feeds the target named by `ACTEON_FUZZ_TARGET`. See `make fuzz`.
#![no_main]

use std::sync::LazyLock;

use acteon_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("ACTEON_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("ACTEON_FUZZ_TARGET names no target: \"{name}\""))
});

/// The file with the running input: a stack overflow ends the process before libFuzzer can save it.
static RUNNING: LazyLock<Option<std::path::PathBuf>> =
    LazyLock::new(|| std::env::var_os("ACTEON_FUZZ_RUNNING").map(Into::into));

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some(place) = &*RUNNING {
        assert!(std::fs::write(place, input).is_ok(), "the input is kept");
    }
    let _ = TARGET.run(input);
});
