//! Which cryptography rustls is handed.
//!
//! Who turns on `tls-aws-lc-rs` or `tls-ring` has decided for C and gets it, in this order. Otherwise
//! graviola, where the processor has what it needs: it panics where it does not, so that is looked at first.
//! Otherwise the portable one, when it was built in; otherwise an error that says what to build in.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::{Error, Result};

/// The first provider that was built in and runs here.
pub(super) fn provider() -> Result<Arc<CryptoProvider>> {
    let candidates: &[fn() -> Result<CryptoProvider>] = &[
        #[cfg(feature = "tls-aws-lc-rs")]
        || Ok(rustls::crypto::aws_lc_rs::default_provider()),
        #[cfg(feature = "tls-ring")]
        || Ok(rustls::crypto::ring::default_provider()),
        #[cfg(feature = "tls")]
        graviola,
        #[cfg(feature = "tls-portable")]
        || Ok(rustls_rustcrypto::provider()),
    ];
    let mut refusal = Error::config("this build of ottla has no TLS provider");
    for candidate in candidates {
        match candidate() {
            Ok(provider) => return Ok(Arc::new(provider)),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(in crate::net) fn graviola() -> Result<CryptoProvider> {
    match missing(&cpu_features()) {
        Some(feature) => Err(unusable(feature)),
        None => Ok(rustls_graviola::default_provider()),
    }
}

#[cfg(all(feature = "tls", not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(in crate::net) fn graviola() -> Result<CryptoProvider> {
    Err(Error::config("the TLS provider graviola runs on x86-64 and aarch64 only").hint(PORTABLE))
}

/// What graviola 0.4 asserts at its first use (`is_cpu_supported` of its `low::x86_64::cpu`).
#[cfg(all(feature = "tls", target_arch = "x86_64"))]
fn cpu_features() -> [(&'static str, bool); 6] {
    use std::arch::is_x86_feature_detected as has;
    [
        ("adx", has!("adx")),
        ("aes", has!("aes")),
        ("avx", has!("avx")),
        ("avx2", has!("avx2")),
        ("bmi1", has!("bmi1")),
        ("pclmulqdq", has!("pclmulqdq")),
    ]
}

/// What graviola 0.4 asserts at its first use (`is_cpu_supported` of its `low::aarch64::cpu`).
#[cfg(all(feature = "tls", target_arch = "aarch64"))]
fn cpu_features() -> [(&'static str, bool); 4] {
    use std::arch::is_aarch64_feature_detected as has;
    [("aes", has!("aes")), ("neon", has!("neon")), ("pmull", has!("pmull")), ("sha2", has!("sha2"))]
}

#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn missing(features: &[(&'static str, bool)]) -> Option<&'static str> {
    features.iter().find(|(_, present)| !present).map(|(name, _)| *name)
}

#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn unusable(feature: &str) -> Error {
    Error::config(format!(
        "TLS: this processor, or the virtual machine around it, lacks `{feature}`, which the provider graviola needs"
    ))
    .hint(PORTABLE)
}

#[cfg(feature = "tls")]
const PORTABLE: &str = "build ottla with its feature `tls-portable` (any processor; slower), or with `tls-ring` or `tls-aws-lc-rs` (these compile C)";

#[cfg(test)]
#[cfg(all(feature = "tls", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cpu_feature_is_named_with_the_way_out() {
        assert_eq!(missing(&[("aes", true), ("adx", false), ("avx", false)]), Some("adx"));
        assert_eq!(missing(&[("aes", true)]), None);
        let text = unusable("adx").to_string();
        assert!(text.contains("`adx`") && text.contains("`tls-portable`"), "{text}");
    }

    #[test]
    fn a_provider_runs_here() {
        provider().unwrap();
    }
}
