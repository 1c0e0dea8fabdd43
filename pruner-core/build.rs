//! Builds the C++ side of the crate against the libtorch that torch-sys found.

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    #[cfg(feature = "torch")]
    torch();
}

#[cfg(feature = "torch")]
fn torch() {
    use std::env;
    use std::path::PathBuf;

    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let library = env::var_os("DEP_TCH_LIBTORCH_LIB").expect("torch-sys publishes where libtorch is");
    let include = PathBuf::from(library).join("../include");
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .pic(true)
        .opt_level(3)
        .debug(false)
        // The headers are not written for the warnings of the day.
        .warnings(false)
        // libtorch's headers run loops in parallel only so; torch-sys links the library.
        .flag_if_supported("-fopenmp")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        // The library was built without debug assertions, which add fields to classes of its headers.
        .define("NDEBUG", None)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .define("GLOG_USE_GLOG_EXPORT", None)
        .file("cpp/pruner_aten.cc")
        .compile("pruner_aten");
}
