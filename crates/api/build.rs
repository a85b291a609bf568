//! Compiles axis.v1 without `protoc`: the code, and the descriptors that reflection serves.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}/axis");
    let files = [
        "exchange",
        "status",
        "registry",
        "access",
        "history",
        "alerts",
        "operations",
    ]
    .map(|name| format!("axis/v1/{name}.proto"));

    // Comments become the documentation of the generated code, but are no part of the contract.
    let mut compiler = protox::Compiler::new([root])?;
    compiler
        .include_imports(true)
        .include_source_info(false)
        .open_files(&files)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    #[expect(clippy::disallowed_methods, reason = "a build's output need not last")]
    std::fs::write(
        out.join("axis.v1.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;

    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(protox::compile(&files, [root])?)?;
    Ok(())
}
