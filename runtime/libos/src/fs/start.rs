//! The file tree of the first process.

use alloc::boxed::Box;

use casemate_index::Index;

use super::image::{HostStorage, Image};
use super::mount::{self, Mount};
use super::tree::Tree;
use super::walk::Walk;
use super::{FsView, Location};
use crate::errno::Result;
use crate::process::Credentials;

/// Pages of image files kept in memory (256 MiB).
const CACHE_PAGES: usize = 65_536;

/// Builds the tree over the image and opens the working directory in it.
pub fn first_view(index: Index, credentials: &Credentials, directory: &[u8], umask: u32) -> Result<FsView> {
    let image = Image::new(index, Box::new(HostStorage), CACHE_PAGES);
    let tree = Tree::new(Some(image));
    let mount = Mount::new(tree.device(), "overlay", b"overlay", false);
    let root = Location::root(tree.root(0o755)?, mount);
    mount::register(&root);
    let cwd = Walk::new(root.clone(), credentials).find(root.clone(), directory, true)?;
    Ok(FsView::new(root, cwd, umask))
}
