//! The file tree: inodes of file systems, the names over them, mounts, path walks.

pub mod access;
pub mod attestation;
pub mod cache;
pub mod caller;
pub mod devices;
pub mod directory_file;
pub mod encrypted;
pub mod engine;
pub mod generated;
pub mod host_directory;
pub mod image;
pub mod inode;
pub mod lock;
pub mod mount;
pub mod node;
pub mod notify;
pub mod open;
pub mod page;
pub mod proc;
pub mod recent;
pub mod resolve;
pub mod start;
pub mod statfs;
pub mod stream;
pub mod sys;
pub mod tree;
pub mod turn;
pub mod view;
pub mod walk;
pub mod xattr;

#[cfg(test)]
mod tests;

pub use cache::forget_names;
pub use node::Location;
pub use view::FsView;
