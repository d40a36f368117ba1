//! The file tree: inodes of file systems, the names over them, mounts, path walks.

pub mod access;
pub mod cache;
pub mod image;
pub mod inode;
pub mod mount;
pub mod node;
pub mod page;
pub mod start;
pub mod statfs;
pub mod stream;
pub mod tree;
pub mod turn;
pub mod view;
pub mod walk;
pub mod xattr;

pub use node::Location;
pub use view::FsView;
