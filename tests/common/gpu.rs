//! A GPU that is this processor, for tests where there is no other: `tests/cuda`.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder for `LD_LIBRARY_PATH` with a driver that runs the kernels on the processor, or why none
/// could be made.
pub fn driver(old: bool) -> Result<PathBuf, String> {
    if !cfg!(target_os = "linux") {
        return Err("the driver of the tests is Linux's".into());
    }
    let name = if old { "gpu-old" } else { "gpu" };
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cuda/driver.cpp");
    let mut compiler = Command::new("c++");
    compiler.args([
        "-std=c++17",
        "-O2",
        "-shared",
        "-fPIC",
        "-Wall",
        "-Werror",
        "-Wno-unknown-pragmas",
    ]);
    // Indices out of bounds and sums out of range end the process.
    compiler.args(["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]);
    if old {
        compiler.arg("-DOLD");
    }
    compiler.arg(source).arg("-o").arg(folder.join("libcuda.so.1"));
    match compiler.output() {
        Err(e) => Err(format!("there is no C++ compiler (c++): {e}")),
        Ok(out) if out.status.success() => {
            // The name that is looked for first: a real driver may have it elsewhere.
            std::fs::copy(folder.join("libcuda.so.1"), folder.join("libcuda.so")).unwrap();
            Ok(folder)
        }
        Ok(out) => panic!("{}", String::from_utf8_lossy(&out.stderr)),
    }
}
