//! Which SIGSTRUCT of the bundle belongs to the enclave that is to be made.

use casemate_sgx::SigStruct;
use casemate_sgx::{Edmm, Variant};
use linux_raw_sys::general::{O_CLOEXEC, O_RDONLY};

use crate::bundle::with_c_string;
use crate::sys::{self, Errno};

/// The first of the enclaves that a manifest allows for which the bundle has a SIGSTRUCT; or why that cannot be read.
pub fn signed_variant(bundle: i32, edmm: Edmm) -> Option<(Variant, Result<SigStruct, &'static str>)> {
    let variants = edmm.variants().iter();
    variants.copied().find_map(|variant| read(bundle, variant.sigstruct_file()).map(|found| (variant, found)))
}

fn read(bundle: i32, name: &str) -> Option<Result<SigStruct, &'static str>> {
    let fd = match with_c_string(name.as_bytes(), |name| sys::open(bundle, name, O_RDONLY | O_CLOEXEC, 0)) {
        Ok(fd) => fd,
        Err(Errno::ENOENT) => return None,
        Err(error) => return Some(Err(error.text())),
    };
    // One byte more than there may be.
    let mut bytes = [0; SigStruct::SIZE + 1];
    let mut length = 0;
    while let Ok(count @ 1..) = sys::read(fd, &mut bytes[length..]) {
        length += count;
    }
    sys::close(fd);
    Some(SigStruct::parse(&bytes[..length]).map_err(|_| "it does not have the 1808 bytes of a SIGSTRUCT"))
}
