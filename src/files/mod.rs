//! Files and folders: written so that they are complete or absent, hashed, and named.
//!
//! Everything here imports only [`crate::error`]. A *partial* file or folder is a hidden neighbour
//! that is written first and then renamed to its final name.

mod disk;
mod hash;
pub mod names;
mod replace;
mod user;

pub use disk::free_bytes;
pub use hash::{Digest, Fingerprint, Sha256, fingerprint, hash_reader, hex};
pub use replace::{
    DISK_HINT, PartialFile, partial_path, replace_folder, replace_link, sync_folder, sync_tree,
    write_file, write_shared_file,
};
pub use user::{user_cache_folder, user_data_folder};
