//! The checksums of S3. CRC-64/NVME is what hcb uploads with: the checksum of a whole object follows
//! from those of its parts, so that it does not depend on how the object was cut.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use ring::digest::{Context, SHA256};

/// The CRC-64/NVME of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crc64(u64);

impl Crc64 {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes))
    }

    /// Of what this is the checksum of, followed by `length` bytes with the checksum `next`.
    #[must_use]
    pub fn then(self, next: Self, length: u64) -> Self {
        let algorithm = CrcAlgorithm::Crc64Nvme;
        Self(crc_fast::checksum_combine(
            algorithm, self.0, next.0, length,
        ))
    }

    /// As S3 writes it: Base64 of the bytes, the highest first.
    pub fn text(self) -> String {
        STANDARD.encode(self.0.to_be_bytes())
    }
}

/// A checksum that a store keeps of a whole object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The checksum in Base64.
    pub value: String,
}

/// An algorithm that downloads are checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-64/NVME.
    Crc64Nvme,
    /// CRC-32/ISO-HDLC.
    Crc32,
    /// CRC-32/ISCSI.
    Crc32C,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// As S3 calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc32 => "CRC32",
            Self::Crc32C => "CRC32C",
            Self::Sha256 => "SHA256",
        }
    }
}

/// A checksum over bytes that come one after another.
pub struct Running(State);

enum State {
    Crc(crc_fast::Digest, usize),
    Sha256(Context),
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Running")
    }
}

impl Running {
    /// Over nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let crc = |algorithm, bytes| State::Crc(crc_fast::Digest::new(algorithm), bytes);
        Self(match algorithm {
            Algorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme, 8),
            Algorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc, 4),
            Algorithm::Crc32C => crc(CrcAlgorithm::Crc32Iscsi, 4),
            Algorithm::Sha256 => State::Sha256(Context::new(&SHA256)),
        })
    }

    /// Over these bytes too.
    pub fn add(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc(digest, _) => digest.update(bytes),
            State::Sha256(digest) => digest.update(bytes),
        }
    }

    /// As S3 writes it.
    pub fn text(self) -> String {
        match self.0 {
            State::Crc(digest, bytes) => {
                STANDARD.encode(&digest.finalize().to_be_bytes()[8 - bytes..])
            }
            State::Sha256(digest) => STANDARD.encode(digest.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // The check values are those of the catalogue of parametrised CRC algorithms (reveng), and NIST's.
    #[test]
    fn checksums_are_those_of_the_catalogue() {
        let of = |algorithm| {
            let mut running = Running::new(algorithm);
            running.add(b"1234");
            running.add(b"56789");
            running.text()
        };
        let hex = |text: &str| {
            let bytes = STANDARD.decode(text).expect("Base64");
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.concat()
        };
        assert_eq!(hex(&of(Algorithm::Crc64Nvme)), "ae8b14860a799888");
        assert_eq!(hex(&of(Algorithm::Crc32)), "cbf43926");
        assert_eq!(hex(&of(Algorithm::Crc32C)), "e3069283");
        assert!(hex(&of(Algorithm::Sha256)).starts_with("15e2b0d3c33891eb"));
        assert_eq!(Crc64::of(b"123456789").text(), of(Algorithm::Crc64Nvme));
    }

    proptest! {
        #[test]
        fn parts_make_the_checksum_of_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..4096), cut in any::<proptest::sample::Index>()) {
            let (left, right) = bytes.split_at(cut.index(bytes.len() + 1));
            let combined = Crc64::of(left).then(Crc64::of(right), right.len() as u64);
            prop_assert_eq!(combined, Crc64::of(&bytes));
        }
    }
}
