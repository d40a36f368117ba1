//! The enclaves that one shielded image can become, and the layout of each: what signing measures and the loader builds.

use crate::Image;
use crate::layout::{Features, Layout, LayoutError, Parameters};

/// Largest enclave without dynamic memory that an image gets beside the one with it.
///
/// Every page of such an enclave is added before it starts: the default of 64 GiB would be 16 million EADDs, minutes of
/// start, and as much EPC or swap behind it. Who wants a larger one says so with `sgx.edmm_enable = false`.
pub const MAX_ALTERNATIVE_SIZE: u64 = 4 << 30;

/// The manifest's `edmm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edmm {
    /// Dynamic memory where the platform has it.
    Auto,
    /// Always.
    Required,
    /// Never.
    Off,
}

/// One way in which an image is built into an enclave. Each has a measurement and a SIGSTRUCT of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Memory and threads are added on demand.
    Edmm,
    /// All are there from the start.
    Static,
}

/// What a manifest says about its enclaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `enclave_size`, in bytes.
    pub enclave_size: u64,
    /// `max_threads`.
    pub max_threads: u32,
    /// `edmm`.
    pub edmm: Edmm,
    /// The measured block (`/casemate/measured`).
    pub measured: [u8; 64],
}

impl Edmm {
    /// From the manifest's word for it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "required" => Some(Self::Required),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// The enclaves that it allows, the preferred one first.
    #[must_use]
    pub fn variants(self) -> &'static [Variant] {
        match self {
            Self::Auto => &[Variant::Edmm, Variant::Static],
            Self::Required => &[Variant::Edmm],
            Self::Off => &[Variant::Static],
        }
    }
}

impl Variant {
    /// `edmm` or `static`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Edmm => "edmm",
            Self::Static => "static",
        }
    }

    /// From that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Edmm, Self::Static].into_iter().find(|variant| variant.name() == name)
    }

    /// The file of `/casemate/` that holds its SIGSTRUCT.
    #[must_use]
    pub fn sigstruct_file(self) -> &'static str {
        match self {
            Self::Edmm => "sigstruct.edmm",
            Self::Static => "sigstruct.static",
        }
    }
}

impl Settings {
    /// The layout of one of the enclaves. That the manifest allows this variant is for the caller to know.
    pub fn layout(&self, image: &Image<'_>, variant: Variant) -> Result<Layout, LayoutError> {
        let limit = if self.edmm == Edmm::Auto && variant == Variant::Static {
            MAX_ALTERNATIVE_SIZE
        } else {
            u64::MAX
        };
        let sized = |enclave_size| Layout::new(image, &self.parameters(enclave_size, variant));
        match sized(self.enclave_size.min(limit)) {
            // Many threads need more than the limit; then it is as large as they need.
            Err(LayoutError::TooSmall { needed, .. }) if limit < needed && needed <= self.enclave_size => {
                sized(needed)
            }
            other => other,
        }
    }

    fn parameters(&self, enclave_size: u64, variant: Variant) -> Parameters {
        let edmm = variant == Variant::Edmm;
        Parameters {
            enclave_size,
            heap_size: None,
            max_threads: self.max_threads,
            edmm,
            // The library OS must hear of faults on memory: it brings pages of files in when they are touched. Every processor
            // with dynamic memory reports them; one that does not refuses to make the enclave.
            exinfo: true,
            features: Features::default(),
            measured: self.measured,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{LayoutFlags, USER_BASE};
    use alloc::vec;

    /// One page of text.
    fn image() -> alloc::vec::Vec<u8> {
        let mut file = vec![0; 0x2000];
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &[3, 0, 62, 0, 1, 0, 0, 0]);
        put(24, &0x1000u64.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(52, &[64, 0, 56, 0, 1, 0]);
        put(64, &[1, 0, 0, 0, 5, 0, 0, 0]);
        for (at, value) in
            [(72, 0x1000u64), (80, 0x1000), (88, 0x1000), (96, 0x1000), (104, 0x1000), (112, 4096)]
        {
            put(at, &value.to_le_bytes());
        }
        file
    }

    fn settings(edmm: Edmm, enclave_size: u64, max_threads: u32) -> Settings {
        Settings { enclave_size, max_threads, edmm, measured: [0; 64] }
    }

    #[test]
    fn the_static_enclave_beside_a_dynamic_one_is_not_larger_than_machines_without_dynamic_memory_hold() {
        let bytes = image();
        let image = Image::parse(&bytes).unwrap();
        let size = |edmm, variant, size, threads| {
            let layout = settings(edmm, size, threads).layout(&image, variant).unwrap();
            assert_eq!(layout.block().flags().contains(LayoutFlags::EDMM), variant == Variant::Edmm);
            assert_eq!(layout.block().user_base, USER_BASE);
            layout.block().enclave_size
        };
        assert_eq!(size(Edmm::Auto, Variant::Edmm, 64 << 30, 256), 64 << 30);
        assert_eq!(size(Edmm::Auto, Variant::Static, 64 << 30, 256), MAX_ALTERNATIVE_SIZE);
        assert_eq!(size(Edmm::Auto, Variant::Static, 1 << 30, 256), 1 << 30);
        assert_eq!(size(Edmm::Off, Variant::Static, 64 << 30, 256), 64 << 30);
        assert_eq!(size(Edmm::Auto, Variant::Static, 64 << 30, 65536), 32 << 30);
    }

    #[test]
    fn what_fits_nowhere_is_still_too_small() {
        let bytes = image();
        let image = Image::parse(&bytes).unwrap();
        for variant in [Variant::Edmm, Variant::Static] {
            let refused = settings(Edmm::Auto, 64 << 20, 1000).layout(&image, variant);
            assert!(matches!(refused, Err(LayoutError::TooSmall { enclave_size: 0x400_0000, .. })));
        }
    }

    #[test]
    fn names_are_those_of_the_manifest_and_the_bundle() {
        assert_eq!(Edmm::from_name("auto").unwrap().variants(), [Variant::Edmm, Variant::Static]);
        assert_eq!(Edmm::from_name("required").unwrap().variants(), [Variant::Edmm]);
        assert_eq!(Edmm::from_name("off").unwrap().variants(), [Variant::Static]);
        assert_eq!(Edmm::from_name("on"), None);
        for variant in Edmm::Auto.variants() {
            assert_eq!(Variant::from_name(variant.name()), Some(*variant));
            assert_eq!(variant.sigstruct_file().strip_prefix("sigstruct."), Some(variant.name()));
        }
        assert_eq!(Variant::from_name("other"), None);
    }
}
