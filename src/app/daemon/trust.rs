//! Certificates that a config names.

use std::path::Path;

use ureq::tls::{Certificate, PemItem};

use crate::codec::read_file;
use crate::error::{Error, Result};

/// Bytes of a file of certificates at most.
const CERTIFICATES: u64 = 1 << 20;

/// The certificates in a file, which is called `named` where it is set; one at least.
pub fn read_certificates(file: &Path, named: &str) -> Result<Vec<Certificate<'static>>> {
    let wrong = |why: String| Error::config(named, why);
    let bytes = read_file(file, CERTIFICATES)?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&bytes) {
        if let PemItem::Certificate(c) = item.map_err(|e| wrong(e.to_string()))? {
            certificates.push(c);
        }
    }
    if certificates.is_empty() {
        return Err(wrong(format!("{} holds no certificate", file.display())));
    }
    Ok(certificates)
}
