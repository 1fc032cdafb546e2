//! What makes a file the same file, whatever names lead to it.

use std::fs::File;
use std::io;
use std::path::Path;

/// Device and inode; on Windows, the serial number of the volume and the index of the file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(u64, u64);

impl Identity {
    /// That of an open file.
    pub fn of(file: &File) -> io::Result<Identity> {
        #[cfg(unix)]
        return file.metadata().map(|metadata| of_metadata(&metadata));
        #[cfg(windows)]
        return of_handle(file);
    }

    /// That of the file or directory at `path`, behind all links.
    pub fn at(path: &Path) -> io::Result<Identity> {
        #[cfg(unix)]
        return std::fs::metadata(path).map(|metadata| of_metadata(&metadata));
        #[cfg(windows)]
        return of_handle(winapi_util::Handle::from_path_any(path)?);
    }
}

#[cfg(unix)]
fn of_metadata(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    Identity(metadata.dev(), metadata.ino())
}

/// std has no stable name for either number.
#[cfg(windows)]
fn of_handle(handle: impl winapi_util::AsHandleRef) -> io::Result<Identity> {
    let information = winapi_util::file::information(handle)?;
    Ok(Identity(
        information.volume_serial_number(),
        information.file_index(),
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_keeps_its_identity_under_another_name_and_shares_it_with_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let [one, link, other] = ["one", "link", "other"].map(|name| directory.path().join(name));
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        fs::hard_link(&one, &link).unwrap();
        let file = File::open(&one).unwrap();
        assert_eq!(Identity::of(&file).unwrap(), Identity::at(&link).unwrap());
        assert_ne!(Identity::of(&file).unwrap(), Identity::at(&other).unwrap());
    }

    #[test]
    fn a_directory_has_one_identity_by_whatever_path() {
        let directory = tempfile::tempdir().unwrap();
        let around = directory.path().join("a").join("..");
        fs::create_dir(directory.path().join("a")).unwrap();
        let of = |path| Identity::at(path).unwrap();
        assert_eq!(of(&around), of(directory.path()));
        assert_ne!(of(&around.join("a")), of(directory.path()));
        Identity::at(&around.join("b")).unwrap_err();
    }
}
