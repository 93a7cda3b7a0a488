//! Checksums that clients send along, ask for, or expect of several parts together.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use s3s::S3ErrorCode;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StorageError};

/// S3's algorithms, each with the name of its header.
pub(crate) const ALGORITHMS: [(Algorithm, &str); 5] = [
    (Algorithm::Crc32, "x-amz-checksum-crc32"),
    (Algorithm::Crc32c, "x-amz-checksum-crc32c"),
    (Algorithm::Crc64Nvme, "x-amz-checksum-crc64nvme"),
    (Algorithm::Sha1, "x-amz-checksum-sha1"),
    (Algorithm::Sha256, "x-amz-checksum-sha256"),
];

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// As S3 names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALGORITHMS.iter().map(|(algorithm, _)| *algorithm).find(|one| one.name() == name)
    }

    fn crc(self) -> Option<(CrcAlgorithm, usize)> {
        match self {
            Self::Crc32 => Some((CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Some((CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Some((CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// Checksums of some content, in base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) sha256: Option<String>,
    /// Whether it is a checksum of parts' checksums.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) composite: bool,
}

impl Checksums {
    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Crc32 => self.crc32.as_deref(),
            Algorithm::Crc32c => self.crc32c.as_deref(),
            Algorithm::Crc64Nvme => self.crc64nvme.as_deref(),
            Algorithm::Sha1 => self.sha1.as_deref(),
            Algorithm::Sha256 => self.sha256.as_deref(),
        }
    }

    pub(crate) fn set(&mut self, algorithm: Algorithm, value: String) {
        let slot = match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64Nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        };
        *slot = Some(value);
    }

    /// Those that there are.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        ALGORITHMS.into_iter().map(|(one, _)| one).filter(|one| self.get(*one).is_some())
    }

    /// Holds what was computed against what a client says.
    pub(crate) fn verify(&self, said: &Self) -> Result<()> {
        for algorithm in said.algorithms() {
            if self.get(algorithm) != said.get(algorithm) {
                let name = algorithm.name();
                return Err(StorageError::refused(
                    S3ErrorCode::BadDigest,
                    format!("The {name} you specified did not match the calculated checksum."),
                ));
            }
        }
        Ok(())
    }

    /// Computes these algorithms and those.
    pub(crate) fn hasher(wanted: impl IntoIterator<Item = Algorithm>) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        for algorithm in wanted {
            match algorithm {
                Algorithm::Crc32 => hasher.crc32 = Some(s3s::crypto::Crc32::new()),
                Algorithm::Crc32c => hasher.crc32c = Some(s3s::crypto::Crc32c::new()),
                Algorithm::Crc64Nvme => hasher.crc64nvme = Some(s3s::crypto::Crc64Nvme::new()),
                Algorithm::Sha1 => hasher.sha1 = Some(s3s::crypto::Sha1::new()),
                Algorithm::Sha256 => hasher.sha256 = Some(s3s::crypto::Sha256::new()),
            }
        }
        hasher
    }

    /// As S3's answers name the kind.
    pub(crate) fn kind(&self) -> Option<dto::ChecksumType> {
        self.algorithms().next()?;
        let kind = if self.composite {
            dto::ChecksumType::COMPOSITE
        } else {
            dto::ChecksumType::FULL_OBJECT
        };
        Some(dto::ChecksumType::from_static(kind))
    }

    /// What several parts have together: of their bytes where the algorithm can tell, or of their
    /// checksums. None where a part lacks its own.
    pub(crate) fn of_parts(
        algorithm: Algorithm,
        full_object: bool,
        parts: &[(Option<String>, u64)],
    ) -> Option<Self> {
        let decoded: Option<Vec<(Vec<u8>, u64)>> = parts
            .iter()
            .map(|(sum, size)| Some((STANDARD.decode(sum.as_ref()?).ok()?, *size)))
            .collect();
        let decoded = decoded?;
        let mut all = Self { composite: !full_object, ..Self::default() };
        if full_object {
            all.set(algorithm, STANDARD.encode(combined(algorithm, &decoded)?));
            return Some(all);
        }
        let mut hasher = Self::hasher([algorithm]);
        for (sum, _) in &decoded {
            hasher.update(sum);
        }
        let sums = Self::from(hasher.finalize());
        all.set(algorithm, format!("{}-{}", sums.get(algorithm)?, parts.len()));
        Some(all)
    }
}

fn combined(algorithm: Algorithm, parts: &[(Vec<u8>, u64)]) -> Option<Vec<u8>> {
    let (crc, width) = algorithm.crc()?;
    let number = |bytes: &[u8]| {
        let mut wide = [0; 8];
        wide.get_mut(8 - width..)?.copy_from_slice(bytes.get(..width)?);
        Some(u64::from_be_bytes(wide))
    };
    let (first, rest) = parts.split_first()?;
    let mut all = number(&first.0)?;
    for (sum, size) in rest {
        all = crc_fast::checksum_combine(crc, all, number(sum)?, *size);
    }
    Some(all.to_be_bytes()[8 - width..].to_vec())
}

impl From<dto::Checksum> for Checksums {
    fn from(sums: dto::Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
            composite: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Checksums::hasher([algorithm]);
        hasher.update(bytes);
        Checksums::from(hasher.finalize()).get(algorithm).unwrap().to_owned()
    }

    #[test]
    fn checksums_of_parts_add_up_to_that_of_the_object() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let parts: Vec<_> = [&bytes[..30_000], &bytes[30_000..30_001], &bytes[30_001..]]
                .iter()
                .map(|part| (Some(sums(algorithm, part)), part.len() as u64))
                .collect();
            let all = Checksums::of_parts(algorithm, true, &parts).unwrap();
            assert_eq!(all.get(algorithm), Some(sums(algorithm, &bytes).as_str()));
        }
        let parts = [(Some(sums(Algorithm::Sha1, &bytes)), 1)];
        assert_eq!(Checksums::of_parts(Algorithm::Sha1, true, &parts), None);
    }

    #[test]
    fn a_checksum_of_checksums_says_of_how_many() {
        let parts = [(Some(sums(Algorithm::Sha256, b"a")), 1), (None, 1)];
        assert_eq!(Checksums::of_parts(Algorithm::Sha256, false, &parts), None);
        let all = Checksums::of_parts(Algorithm::Sha256, false, &parts[..1]).unwrap();
        assert!(all.sha256.unwrap().ends_with("-1"));
    }

    #[test]
    fn what_a_client_says_must_be_so() {
        let computed = Checksums { crc32: Some("AAAAAA==".into()), ..Checksums::default() };
        assert!(computed.verify(&Checksums::default()).is_ok());
        assert!(computed.verify(&computed).is_ok());
        let said = Checksums { sha1: Some("x".into()), ..computed.clone() };
        assert!(computed.verify(&said).is_err(), "what was not computed is not taken on trust");
    }
}
